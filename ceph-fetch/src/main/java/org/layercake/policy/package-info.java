/**
 * The rules of the site: what may run where.
 *
 * <p>{@link org.layercake.policy.PolicyFile} is the way in: it reads the file anew when it has
 * changed. A {@link org.layercake.policy.Policy} decides about a {@link org.layercake.policy.Wish}.
 * The format is in docs/operations.md, "Rules of the site".
 */
package org.layercake.policy;
