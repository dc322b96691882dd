package org.layercake.pack;

/**
 * What has been packed of a regular file.
 *
 * @param number its place among all contents
 * @param checksum CRC-32C
 */
record Content(int number, long bytes, int checksum) {}
