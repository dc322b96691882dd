/**
 * What the launcher needs of the node's kernel: programs that it starts and finds again, Unix
 * sockets with descriptors, a few system calls, and {@link org.layercake.launcher.node.Abort}, in
 * which all of them say what went wrong. Knows nothing of images or jobs, and has no locks.
 */
package org.layercake.launcher.node;
