package org.layercake.pack;

/** Does something once, when it is closed or when the program is ended by a signal. */
final class OnExit implements AutoCloseable {
  private final Runnable act;
  private final Thread hook;

  OnExit(Runnable act) {
    this.act = act;
    this.hook = new Thread(act, "on-exit");
    Runtime.getRuntime().addShutdownHook(hook);
  }

  @Override
  public void close() {
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      return; // shutting down: the hook does it
    }
    act.run();
  }
}
