package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** MPI and cross-memory programs of a real Debian image. */
class MpiIT {
  @BeforeAll
  static void pushImage() {
    Images.debian("alice");
  }

  @ParameterizedTest
  @ValueSource(strings = {"pmix", "pmi2"})
  void fourTasksOnTwoNodesFindEachOther(String mpi) {
    Cluster.as(
            "alice",
            """
            cat >$HOME/ring.py <<'END'
            from mpi4py import MPI
            c = MPI.COMM_WORLD
            s = c.Split_type(MPI.COMM_TYPE_SHARED)
            total = c.allreduce(c.rank)
            ring = c.sendrecv(c.rank, dest=(c.rank + 1) % c.size, source=(c.rank - 1) % c.size)
            print(c.size, total, ring == (c.rank - 1) % c.size, s.size, MPI.Get_processor_name())
            END
            """)
        .text();
    Cluster.Result result =
        Cluster.as(
            "alice", "srun -N2 -n4 --mpi=" + mpi + " --ch-image=debian python3 $HOME/ring.py");
    assertEquals(4, result.lines().size(), result.toString());
    for (String line : result.lines()) {
      assertTrue(line.startsWith("4 6 True 2 n"), result.toString());
    }
  }

  @Test
  void aTaskReadsTheMemoryOfAnother() {
    Cluster.as(
            "alice",
            """
            cat >$HOME/cma.py <<'END'
            import ctypes, os, time
            libc = ctypes.CDLL(None, use_errno=True)
            class iovec(ctypes.Structure):
                _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
            rank, note = os.environ["SLURM_PROCID"], os.path.expanduser("~/cma.note")
            if rank == "0":
                secret = ctypes.create_string_buffer(b"read across", 64)
                open(note + ".new", "w").write("%d %d" % (os.getpid(), ctypes.addressof(secret)))
                os.rename(note + ".new", note)
                while os.path.exists(note): time.sleep(0.05)
            else:
                while not os.path.exists(note): time.sleep(0.05)
                pid, address = map(int, open(note).read().split())
                got = ctypes.create_string_buffer(64)
                n = libc.process_vm_readv(pid, ctypes.byref(iovec(ctypes.addressof(got), 64)), 1,
                                          ctypes.byref(iovec(address, 64)), 1, 0)
                os.remove(note)
                print(got.value.decode() if n == 64 else os.strerror(ctypes.get_errno()))
            END
            rm -f $HOME/cma.note
            """)
        .text();
    assertEquals(
        "read across",
        Cluster.as("alice", "srun -N1 -n2 --ch-image=debian python3 $HOME/cma.py").text());
  }
}
