package org.layercake.store;

import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.DENIED;
import static org.layercake.store.StoreException.Kind.FULL;
import static org.layercake.store.StoreException.Kind.INTERNAL;
import static org.layercake.store.StoreException.Kind.MISCONFIGURED;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;
import static org.layercake.store.StoreException.Kind.UNAVAILABLE;

/**
 * The errnos of librados, negated, and what they mean to us.
 *
 * @param entity who has asked
 */
record RadosErrors(String entity) {
  static final int EPERM = -1;
  static final int ENOENT = -2;
  static final int EIO = -5;
  static final int E2BIG = RadosOmap.E2BIG;
  static final int EAGAIN = -11;
  static final int EACCES = -13;
  static final int EEXIST = -17;
  static final int EINVAL = -22;
  static final int ENOSPC = -28;
  static final int ERANGE = -34;
  static final int ENODATA = -61;
  static final int EOPNOTSUPP = -95;
  static final int ENOTCONN = -107;
  static final int ESHUTDOWN = -108;
  static final int ETIMEDOUT = -110;
  static final int EDQUOT = -122;
  static final int ECANCELED = -125;

  /** A connection could not be made. */
  static StoreException notConnected(StoreConfig config, RadosFailure e) {
    String act = "cannot reach Ceph as " + config.client() + ": ";
    return switch (e.code()) {
      case EPERM, EACCES, EOPNOTSUPP ->
          new StoreException(
              DENIED,
              act + "key refused (check " + config.keyring() + " with an administrator)",
              e);
      case ENOENT ->
          new StoreException(
              MISCONFIGURED,
              act + "no pool \"" + config.pool() + "\", or no key in " + config.keyring(),
              e);
      case EIO, EINVAL ->
          new StoreException(
              MISCONFIGURED,
              act + config.keyring() + " or " + config.cephConf() + " is malformed (replace it)",
              e);
      case ETIMEDOUT ->
          new StoreException(
              UNAVAILABLE, act + "no monitor of " + config.cephConf() + " answers (try again)", e);
      default -> new StoreException(MISCONFIGURED, act + e.getMessage(), e);
    };
  }

  /** Opens the part of the pool that a domain is. */
  RadosNamespace open(RadosPool pool, String domain) throws StoreException {
    try {
      return pool.namespace(domain);
    } catch (RadosFailure e) {
      throw failure(e.code(), "open", domain, "pool");
    }
  }

  /** The code if it is none. */
  int check(int code, String act, String domain, String object) throws StoreException {
    if (code < 0) {
      throw failure(code, act, domain, object);
    }
    return code;
  }

  /** An operation has failed. */
  StoreException failure(int code, String act, String domain, String object) {
    String what = "cannot " + act + " in domain " + domain + " (" + object + "): ";
    return switch (code) {
      case ENOENT -> new StoreException(NOT_FOUND, what + "no such object");
      case EPERM, EACCES ->
          new StoreException(
              DENIED, what + "the key of " + entity + " does not permit it (ask an administrator)");
      case EAGAIN, ETIMEDOUT, ENOTCONN, ESHUTDOWN, ECANCELED ->
          new StoreException(UNAVAILABLE, what + "Ceph does not answer (try again later)");
      case E2BIG ->
          new StoreException(
              CORRUPT,
              what + "an entry has a name that is not a tag's (remove it with rados rmomapkey)");
      case EIO -> new StoreException(CORRUPT, what + "I/O error in Ceph (tell an administrator)");
      case ENOSPC, EDQUOT ->
          new StoreException(FULL, what + "the Ceph pool is full (remove images, or ask for room)");
      default -> new StoreException(INTERNAL, what + "librados errno " + -code);
    };
  }
}
