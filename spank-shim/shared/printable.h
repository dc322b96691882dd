/* Text that others wrote, on a terminal or in a log. */
#ifndef LAYERCAKE_PRINTABLE_H
#define LAYERCAKE_PRINTABLE_H

/*
 * Makes text fit for a terminal, in place: control characters, those that end a line or change the
 * direction of what follows, and bytes that are not UTF-8 become "?". The text may get shorter.
 */
void lc_make_printable(char *text);

#endif
