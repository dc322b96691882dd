/**
 * What the site gives to containers, by files in one directory, each of which is a profile.
 *
 * <p>{@link org.layercake.launcher.profile.Profiles} is the way in: from a job, its image and what
 * its user asks for to the {@link org.layercake.launcher.edit.Edits} of all profiles and devices
 * that the container has. The format of the files is in docs/operations.md, "Profiles".
 */
package org.layercake.launcher.profile;
