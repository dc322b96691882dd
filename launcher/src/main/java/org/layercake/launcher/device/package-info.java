/**
 * The node's devices, as the Container Device Interface describes them (CDI, SPEC.md of
 * cncf-tags/container-device-interface).
 *
 * <p>{@link org.layercake.launcher.device.Devices} is the way in: from the names of devices to the
 * {@link org.layercake.launcher.edit.Edits} that a container needs. Specs are written by vendors'
 * generators; they are read, and nothing that they name is ever run.
 */
package org.layercake.launcher.device;
