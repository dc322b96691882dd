/**
 * What containers get beside their image: one list of edits, whoever asks for them.
 *
 * <p>Profiles and devices say {@link org.layercake.launcher.edit.Edits}, and {@link
 * org.layercake.launcher.edit.Editor} makes of them what a holder and its tasks are {@link
 * org.layercake.launcher.edit.Given}.
 */
package org.layercake.launcher.edit;
