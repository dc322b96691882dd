/** The {@code layercake} command: one class per sub-command, and what they share. */
package org.layercake.cli;
