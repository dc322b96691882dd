package org.layercake.launcher.device;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.layercake.launcher.edit.Edits;
import org.layercake.launcher.edit.Mount;
import org.layercake.launcher.edit.Origin;
import org.layercake.launcher.edit.Variable;
import org.layercake.launcher.node.RootFile.UnusableException;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;

/**
 * A file of the Container Device Interface, in YAML or JSON, which is YAML, too. What is not
 * understood is refused, as the specification demands: a device without something that it needs
 * would fail in ways that nobody can explain.
 *
 * @param kind of its devices, {@code VENDOR/CLASS}
 * @param edits what each container with one of the devices needs
 * @param devices what each of them needs beside that, by name
 */
record CdiSpec(String kind, Edits edits, Map<String, Edits> devices) {
  static final int MAX_BYTES = 1 << 20;
  private static final int MAX_DEVICES = 1024;
  private static final int MAX_EDITS = 4096;
  private static final int NEWEST_MAJOR = 1;
  private static final int NEWEST_MINOR = 1;
  private static final Pattern VERSION = Pattern.compile("(\\d{1,4})\\.(\\d{1,4})\\.(\\d{1,4})");

  /**
   * Parses the text of a file.
   *
   * @throws UnusableException that names the offending part
   */
  static CdiSpec parse(String text) throws UnusableException {
    LoadSettings settings =
        LoadSettings.builder()
            .setAllowDuplicateKeys(false)
            .setAllowRecursiveKeys(false)
            .setMaxAliasesForCollections(0)
            .setCodePointLimit(MAX_BYTES)
            .build();
    Object read;
    try {
      read = new Load(settings).loadFromString(text);
    } catch (YamlEngineException | StackOverflowError e) {
      throw new UnusableException("it is neither YAML nor JSON: " + e.getMessage());
    }
    Fields file = Fields.of("the file", read);
    file.allow("cdiVersion", "kind", "annotations", "containerEdits", "devices");
    requireVersion(file.text("cdiVersion"));
    String kind = file.text("kind");
    if (!DeviceName.isKind(kind)) {
      throw new UnusableException("kind \"" + kind + "\" is not VENDOR/CLASS");
    }
    Map<String, Edits> devices = new LinkedHashMap<>();
    for (Fields device : file.list("devices")) {
      device.allow("name", "annotations", "containerEdits");
      String name = device.text("name");
      if (!DeviceName.isName(name) || devices.size() == MAX_DEVICES) {
        throw new UnusableException("device \"" + name + "\" has no name of a device");
      }
      if (devices.put(name, edits(device, kind + "=" + name)) != null) {
        throw new UnusableException("device \"" + name + "\" is there twice");
      }
    }
    return new CdiSpec(kind, edits(file, kind), Map.copyOf(devices));
  }

  private static void requireVersion(String version) throws UnusableException {
    Matcher numbers = VERSION.matcher(version);
    if (!numbers.matches()) {
      throw new UnusableException("cdiVersion \"" + version + "\" is not a version");
    }
    int major = Integer.parseInt(numbers.group(1));
    int minor = Integer.parseInt(numbers.group(2));
    if (major > NEWEST_MAJOR || (major == NEWEST_MAJOR && minor > NEWEST_MINOR)) {
      throw new UnusableException(
          "cdiVersion " + version + " is newer than " + NEWEST_MAJOR + "." + NEWEST_MINOR);
    }
  }

  private static Edits edits(Fields of, String device) throws UnusableException {
    Fields edits = of.fields("containerEdits");
    // What they need of a container cannot be given: a container maps one group.
    edits.allow("env", "deviceNodes", "mounts", "hooks", "additionalGids");
    Origin origin =
        new Origin("device " + device, "generate the specs anew, as by nvidia-ctk cdi generate");
    List<Variable> environment = new ArrayList<>();
    for (String variable : edits.texts("env")) {
      environment.add(variable(variable, origin));
    }
    List<Mount> mounts = new ArrayList<>();
    for (Fields node : edits.list("deviceNodes")) {
      mounts.add(deviceNode(node, origin));
    }
    for (Fields mount : edits.list("mounts")) {
      mounts.add(mount(mount, origin));
    }
    Map<String, String> links = new LinkedHashMap<>();
    for (Fields hook : edits.list("hooks")) {
      hook.allow("hookName", "path", "args", "env", "timeout");
      links.putAll(Hook.links(hook.text("path"), hook.texts("args")));
    }
    if (environment.size() + mounts.size() + links.size() > MAX_EDITS) {
      throw new UnusableException("more than " + MAX_EDITS + " edits");
    }
    return new Edits(List.copyOf(environment), List.copyOf(mounts), Map.copyOf(links), List.of());
  }

  private static Variable variable(String text, Origin origin) throws UnusableException {
    try {
      return Variable.parse(Variable.Act.SET, text, origin);
    } catch (IllegalArgumentException e) {
      throw new UnusableException("env " + e.getMessage());
    }
  }

  /** Type, numbers, mode and owner are the node's: it has the device already. */
  private static Mount deviceNode(Fields node, Origin origin) throws UnusableException {
    node.allow(
        "path", "hostPath", "type", "major", "minor", "fileMode", "permissions", "uid", "gid");
    String inside = path(node.text("path"));
    String outside = node.has("hostPath") ? path(node.text("hostPath")) : inside;
    return new Mount(outside, inside, true, Mount.Kind.DEVICE, origin);
  }

  private static Mount mount(Fields mount, Origin origin) throws UnusableException {
    mount.allow("hostPath", "containerPath", "type", "options");
    String type = mount.has("type") ? mount.text("type") : "bind";
    if (!Set.of("bind", "rbind", "none", "").contains(type)) {
      throw new UnusableException("a mount of type \"" + type + "\" is not a bind mount");
    }
    return new Mount(
        path(mount.text("hostPath")),
        path(mount.text("containerPath")),
        !mount.texts("options").contains("ro"),
        Mount.Kind.DRIVER,
        origin);
  }

  static String path(String text) throws UnusableException {
    if (!Mount.isPath(text)) {
      throw new UnusableException("\"" + text + "\" is not an absolute path without . and ..");
    }
    return text;
  }
}
