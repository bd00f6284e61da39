#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Where data sets lie on this machine.
public enum DataFolder {
  /// `$BACKPROP_DATA`, or `~/.cache/backprop` where that isn't set.
  public static var path: String {
    if let folder = environment("BACKPROP_DATA") { return folder }
    return (environment("HOME") ?? ".") + "/.cache/backprop"
  }

  /// A variable that is set to something.
  private static func environment(_ name: String) -> String? {
    guard let value = getenv(name).map({ String(cString: $0) }), !value.isEmpty else { return nil }
    return value
  }

  static func contains(_ path: String) -> Bool { access(path, F_OK) == 0 }
}
