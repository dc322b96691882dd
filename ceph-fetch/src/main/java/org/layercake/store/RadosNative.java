package org.layercake.store;

import jnr.ffi.Pointer;
import jnr.ffi.annotations.IgnoreError;
import jnr.ffi.types.size_t;
import jnr.ffi.types.u_int64_t;

/**
 * The functions of librados that rados-java lacks and we use, under their C names, in alphabetical
 * order. Public only for the class that jnr-ffi makes of it. See {@code <rados/librados.h>}.
 * Functions return 0 or a count, or a negated errno.
 */
public interface RadosNative {
  /** How attributes and entries are compared; LIBRADOS_CMPXATTR_OP_EQ. */
  byte EQUAL = 1;

  @IgnoreError
  int rados_aio_cancel(Pointer io, Pointer completion);

  @IgnoreError
  int rados_aio_create_completion2(Pointer argument, Pointer callback, Pointer completionOut);

  @IgnoreError
  int rados_aio_get_return_value(Pointer completion);

  @IgnoreError
  int rados_aio_read_op_operate(Pointer op, Pointer io, Pointer completion, String oid, int flags);

  @IgnoreError
  void rados_aio_release(Pointer completion);

  @IgnoreError
  int rados_aio_wait_for_complete(Pointer completion);

  @IgnoreError
  void rados_buffer_free(Pointer buffer);

  @IgnoreError
  Pointer rados_create_read_op();

  @IgnoreError
  Pointer rados_create_write_op();

  @IgnoreError
  int rados_get_min_compatible_osd(Pointer cluster, Pointer releaseOut);

  @IgnoreError
  int rados_getxattr(Pointer io, String oid, String name, Pointer buffer, @size_t long length);

  @IgnoreError
  int rados_mon_command(
      Pointer cluster,
      Pointer commands,
      @size_t long count,
      Pointer input,
      @size_t long inputLength,
      Pointer outputOut,
      Pointer outputLengthOut,
      Pointer statusOut,
      Pointer statusLengthOut);

  @IgnoreError
  void rados_nobjects_list_close(Pointer list);

  @IgnoreError
  int rados_nobjects_list_next2(
      Pointer list,
      Pointer objectOut,
      Pointer keyOut,
      Pointer namespaceOut,
      Pointer objectLengthOut,
      Pointer keyLengthOut,
      Pointer namespaceLengthOut);

  @IgnoreError
  int rados_nobjects_list_open(Pointer io, Pointer listOut);

  @IgnoreError
  void rados_omap_get_end(Pointer iterator);

  @IgnoreError
  int rados_omap_get_next2(
      Pointer iterator, Pointer keyOut, Pointer valueOut, Pointer keyLength, Pointer valueLength);

  @IgnoreError
  void rados_read_op_omap_get_vals2(
      Pointer op,
      Pointer startAfter,
      String filterPrefix,
      @u_int64_t long maxReturn,
      Pointer iteratorOut,
      Pointer moreOut,
      Pointer resultOut);

  @IgnoreError
  void rados_read_op_omap_get_keys2(
      Pointer op,
      Pointer startAfter,
      @u_int64_t long maxReturn,
      Pointer iteratorOut,
      Pointer moreOut,
      Pointer resultOut);

  @IgnoreError
  void rados_read_op_omap_get_vals_by_keys2(
      Pointer op,
      Pointer keys,
      @size_t long count,
      Pointer keyLengths,
      Pointer iteratorOut,
      Pointer resultOut);

  @IgnoreError
  int rados_read_op_operate(Pointer op, Pointer io, String oid, int flags);

  @IgnoreError
  void rados_read_op_read(
      Pointer op,
      @u_int64_t long offset,
      @size_t long length,
      Pointer buffer,
      Pointer bytesReadOut,
      Pointer resultOut);

  @IgnoreError
  void rados_release_read_op(Pointer op);

  @IgnoreError
  void rados_release_write_op(Pointer op);

  @IgnoreError
  int rados_stat(Pointer io, String oid, Pointer sizeOut, Pointer timeOut);

  @IgnoreError
  void rados_write_op_assert_exists(Pointer op);

  @IgnoreError
  void rados_write_op_cmpxattr(
      Pointer op, String name, byte operator, Pointer value, @size_t long valueLength);

  @IgnoreError
  void rados_write_op_create(Pointer op, int exclusive, String category);

  @IgnoreError
  void rados_write_op_omap_cmp2(
      Pointer op,
      String key,
      byte operator,
      Pointer value,
      @size_t long keyLength,
      @size_t long valueLength,
      Pointer resultOut);

  @IgnoreError
  void rados_write_op_omap_rm_keys2(
      Pointer op, Pointer keys, Pointer keyLengths, @size_t long count);

  @IgnoreError
  void rados_write_op_omap_set2(
      Pointer op,
      Pointer keys,
      Pointer values,
      Pointer keyLengths,
      Pointer valueLengths,
      @size_t long count);

  @IgnoreError
  int rados_write_op_operate2(Pointer op, Pointer io, String oid, Pointer mtime, int flags);

  @IgnoreError
  void rados_write_op_remove(Pointer op);

  @IgnoreError
  void rados_write_op_set_alloc_hint2(
      Pointer op, @u_int64_t long expectedObjectSize, @u_int64_t long expectedWriteSize, int flags);

  @IgnoreError
  void rados_write_op_setxattr(Pointer op, String name, Pointer value, @size_t long valueLength);

  @IgnoreError
  void rados_write_op_write_full(Pointer op, Pointer buffer, @size_t long length);
}
