package org.layercake.launcher;

/**
 * A job as one user claims it. The uid is part of the key, so a false claim on somebody's job is an
 * entry of its own, which slurmstepd will refuse, and never stands in the owner's way.
 */
record JobKey(long job, long uid) {}
