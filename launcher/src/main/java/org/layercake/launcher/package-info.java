/**
 * The node's launcher: its socket, the protocol that is spoken there and its config file.
 *
 * <p>Packages, each of which uses only those below it:
 *
 * <ol>
 *   <li>this one: {@link org.layercake.launcher.Main} puts the parts together, {@link
 *       org.layercake.launcher.Server} accepts clients, {@link org.layercake.launcher.Session}
 *       answers one in the words of {@link org.layercake.launcher.Wire}.
 *   <li>{@link org.layercake.launcher.job}: the node's jobs, their containers and holders.
 *   <li>{@link org.layercake.launcher.image}: from an image's name to a mount on the node.
 *   <li>{@link org.layercake.launcher.node}: processes, sockets and system calls.
 * </ol>
 *
 * <p>A thread that holds a lock of a package takes only locks of those below it. Here they are
 * {@link org.layercake.launcher.Session}'s (whether its connection is open), {@code Server.waiting}
 * (how many clients each user has), {@link org.layercake.launcher.Unread}'s (memory for requests)
 * and {@link org.layercake.launcher.LineLimit}'s and {@link org.layercake.launcher.EventLayout}'s
 * (lines logged of late): each alone, for a few instructions. The thread that accepts clients takes
 * only the first two.
 *
 * <p>No lock of the launcher is held over what may wait: the network, a process, a FIFO, another
 * thread. Waiting is for futures, which are completed with a failure when a task ends otherwise
 * than it should, by an {@link java.lang.Error} too.
 */
package org.layercake.launcher;
