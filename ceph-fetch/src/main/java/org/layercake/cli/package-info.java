/**
 * The {@code layercake} command: one class per sub-command, and what they share. {@link
 * org.layercake.cli.Layercake} is the program; it prints every failure, once, and gives it its exit
 * code.
 *
 * <p>May use {@code org.layercake.pack} and {@code org.layercake.store}; neither knows of it.
 */
package org.layercake.cli;
