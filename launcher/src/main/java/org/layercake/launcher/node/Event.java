package org.layercake.launcher.node;

import static org.slf4j.event.Level.DEBUG;
import static org.slf4j.event.Level.ERROR;
import static org.slf4j.event.Level.INFO;
import static org.slf4j.event.Level.WARN;

import java.util.EnumSet;
import java.util.Set;
import org.layercake.store.LogEvent;
import org.slf4j.event.Level;

/** What the launcher logs; see {@link LogEvent}. */
public enum Event implements LogEvent {
  // The launcher
  START(INFO, "The launcher has started."),
  STOP(INFO, "The launcher has stopped."),
  SESSIONS_CUT_OFF(INFO, "At a stop, waiting tasks were cut off. They ask the next launcher."),
  PROCTRACK(INFO, "How Slurm tracks processes, and who therefore ends holders."),
  SCONTROL_FAILED(
      ERROR,
      "At the start: Slurm could not be asked, and why. Until it can, containers whose image is named"
          + " by a tag end with 75. If slurmctld answers, look at `scontrol` and `SLURM_CONF`"
          + " ([Installing](#slurm-config-files-plugin))."),
  POLICY(INFO, "At the start: the site's rules were read."),
  POLICY_BROKEN(ERROR, "At the start: the site's rules cannot be used. No container starts: act."),
  PROFILES(INFO, "At the start: the site's profiles were read."),
  PROFILES_BROKEN(
      ERROR, "At the start: the site's profiles cannot be used. No container starts (78): act."),
  PROFILE_BROKEN(
      ERROR,
      "A profile cannot be used, and why. Containers that it is for do not start (78): act."),
  DEVICE_SPEC_UNUSABLE(WARN, "A device spec is not used, and why ([Devices](#devices))."),
  IMAGE_MEMORY(INFO, "At the start: the cgroup of image servers, and its limit."),
  IMAGE_MEMORY_UNBOUNDED(WARN, "At the start: image servers have no cgroup, and why."),
  METRICS_FAILED(WARN, "The file with the metrics cannot be written: act."),
  NOTIFY_FAILED(WARN, "systemd could not be told how the launcher is: act."),

  // Jobs and containers
  REGISTER(INFO, "A job with a container was announced by its prolog."),
  DEFAULT(INFO, "A job that names no image gets this one, by that line of the site's rules."),
  DEFAULT_REFUSED(INFO, "A default image could not be prepared for a job, and why."),
  READY(INFO, "A container is ready ([Accounting](#accounting))."),
  DATA(INFO, "With `ready`: an image that the container mounts."),
  STEP(INFO, "The first task of a step has entered a container here ([Accounting](#accounting))."),
  ENDED(INFO, "A container has ended ([Accounting](#accounting))."),
  COMMENT_FAILED(
      WARN,
      "Slurm's record of a job could not be given its image ([Accounting](#accounting)), and why."),
  RELEASE(INFO, "A job has ended here."),
  RECOVER(INFO, "After a restart: a job was taken up again."),
  HOLDER_GONE(
      INFO,
      "After a restart: a container's holder had ended. Its image stays for the tasks in it until"
          + " the job ends."),
  IMAGE_GONE(
      WARN, "After a restart: an image or its server no longer existed. The container was ended."),
  CONTAINER_AGAIN(
      INFO,
      "A container's image server or holder was killed before the container was complete. Another is"
          + " made, once."),
  CONTAINER_REPLACED(
      INFO,
      "A job's container had lost its image server. A later step or session gets another one."),
  ENDED_WITHOUT_EPILOG(INFO, "A job was released although its epilog did not come."),
  RELEASE_OUTDATED(
      INFO, "A release was ignored: its epilog waits no longer, and the job is here again."),
  REGISTER_OUTDATED(
      INFO,
      "An announcement was ignored: its job has been released, or announced again, since it came."),
  NOTE_REFUSED(WARN, "After a restart: what a prolog left cannot be used, and why."),
  FAILED(
      INFO,
      "A container could not be made. The user was told the same cause. At level INFO it is the"
          + " user's own mistake or the store's. At ERROR the node is misconfigured (code 78) or the"
          + " launcher has a fault (70): act."),
  SITE_IMAGE_LEFT_OUT(
      WARN,
      "This user's container was made without an image of `site-mounts`, and why: does the image"
          + " still exist, is it shared with all, and is it within the user's share of the cache?"),
  GROUPS_UNKNOWN(
      WARN,
      "The groups of a user could not be learnt. The user counts as in none for images that are"
          + " shared with groups. If a rule or a `default` names a group, the task fails (75)."),

  // Clients
  CLIENT_GAVE_UP(INFO, "An announcement was ignored: its prolog waits no longer."),
  CLIENT_GONE(DEBUG, "A client hung up."),
  CLIENT_REFUSED(WARN, "The node gave the launcher no thread. The client asks again."),
  OUT_OF_DESCRIPTORS(WARN, "The launcher has no descriptor left. The client asks again."),
  TOO_MANY_CLIENTS(WARN, "A user has 1024 connections. The client asks again."),
  MALFORMED(WARN, "A client sent something that is not a request."),

  // Images
  FETCHED(
      INFO,
      "An image is complete: its bytes, and how many of them were copied from other images of the"
          + " node."),
  START_RECORDED(INFO, "A start profile was stored."),
  START_NOT_RECORDED(
      INFO, "A start profile could not be stored, for example by a node without the cap for it."),
  NO_START_PROFILE(INFO, "A start profile could not be read. It is only advice."),
  NO_SEED(INFO, "Nothing is copied from another image of the node: its manifest is unreadable."),
  SEED_UNREADABLE(INFO, "A chunk could not be copied from another image. It is fetched."),
  COPY_FAILED(WARN, "Copying from other images of the node failed. All is fetched."),
  FILL_WAITS(WARN, "The store fails while an image is read. The launcher tries again every 2 s."),
  READ_FAILED(ERROR, "A read waited for `read-timeout` and got an I/O error."),
  CHUNK_LOST(
      ERROR,
      "A chunk is damaged or missing. Readers of it get I/O errors: verify the image"
          + " (`layercake verify`)."),
  FILL_LOST(
      WARN,
      "After a restart: what an earlier launcher had fetched of an image cannot be used. At level"
          + " ERROR its readers get I/O errors."),
  UNMOUNT(INFO, "No job of a user uses an image any more."),
  EVICT(INFO, "An image was removed from the cache to make room."),
  IMAGE_REMOVED(WARN, "Somebody has removed an image from the cache directory."),
  STRAY_FILE(WARN, "A file in one of LayerCake's directories is not LayerCake's. It stays."),
  STRAY_IMAGESERVER(INFO, "After a restart: an image server that no job needs was ended."),
  IMAGESERVER_DIED(
      ERROR, "An image server ended by itself: look in the kernel's log for the reason."),
  IMAGESERVER_AGAIN(WARN, "An image server was killed while it started. Another is started, once."),
  PUBLISHED_MEANWHILE(DEBUG, "An image became whole while a server of it started."),
  UNKNOWN_WORD(DEBUG, "An image server asked something that this launcher does not know."),
  UNNAMED(DEBUG, "A file of the cache has no name of ours."),
  UNTOUCHABLE(DEBUG, "The time of the last use of an image could not be set."),

  // Trouble with the run or cache directory, or inside the launcher
  FAILURE(ERROR, "An error inside LayerCake (70): act."),
  SESSION_FAILED(ERROR, "The same, while a client was answered: act."),
  TASK_FAILED(ERROR, "The same, in the background: act."),
  RECOVER_FAILED(ERROR, "After a restart: a container could not be taken up: act."),
  SAVE_FAILED(ERROR, "What a later launcher must know of a job could not be written: act."),
  STATE_DAMAGED(ERROR, "What an earlier launcher wrote of a job is damaged, and set aside: act."),
  SET_ASIDE_FAILED(ERROR, "The damaged file could not be set aside: act."),
  NOTES_UNREADABLE(ERROR, "The notes of jobs cannot be read: act."),
  DELETE_FAILED(WARN, "A file could not be removed: act."),
  CHANGES_LEFT(ERROR, "What a job changed in its image could not be removed: act."),
  UNMOUNT_FAILED(WARN, "An image could not be unmounted: act."),
  MOUNTS_UNREADABLE(WARN, "The list of an image's mounts cannot be read: act."),
  SERVER_UNREADABLE(WARN, "The note of an image server cannot be read: act."),
  CACHE_UNUSABLE(ERROR, "The cache directory cannot be used. Jobs whose image is here go on: act."),
  CACHE_UNREADABLE(WARN, "A part of the cache directory cannot be read: act."),
  RUN_DIRECTORY_UNUSABLE(ERROR, "The run directory cannot be used: act."),
  PUBLISH_FAILED(ERROR, "A whole image could not be put into the cache: act."),
  FILL_FAILED(ERROR, "A fetch ended by an error: act."),
  MAP_UNWRITABLE(WARN, "The file that says what of an image is here cannot be written: act."),
  CLOSE_FAILED(WARN, "A file of a fetch could not be closed: act."),
  WANTED_UNREADABLE(WARN, "The questions of an image server cannot be read: act.");

  /** Events of which administrators count the lines: of these, many are logged. */
  public static final Set<Event> COUNTED = EnumSet.of(READY, DATA, STEP, ENDED);

  private final Level level;
  private final String meaning;

  Event(Level level, String meaning) {
    this.level = level;
    this.meaning = meaning;
  }

  @Override
  public Level level() {
    return level;
  }

  @Override
  public String meaning() {
    return meaning;
  }
}
