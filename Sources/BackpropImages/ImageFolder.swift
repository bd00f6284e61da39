import BackpropData
import Foundation

/// Where the labels of a folder of images come from.
public enum ImageLabels: Sendable {
  /// The folder has a folder for each class; classes are numbered in the order of their names.
  case inferred
  /// These, for the files in the order of their paths.
  case given([Int])
  /// There are none.
  case none
}

/// The images of a folder, in Keras' order: by class, then by the path of the folder, then by name, each compared
/// character by character.
struct ImageFolder {
  var files: [String] = []
  /// One for each file; empty where there are none.
  var labels: [Int] = []
  var classNames: [String] = []

  /// - Throws: ``DataError`` when a folder can't be read, there is no image in it, or one that can't be read here.
  init(_ path: String, _ source: ImageLabels, classNames wanted: [String]?, followLinks: Bool) throws {
    switch source {
    case .inferred:
      classNames = try wanted ?? Self.subfolders(of: path)
      let found = try Self.subfolders(of: path)
      if let missing = classNames.first(where: { !found.contains($0) }) {
        throw DataError(
          file: path, place: .wholeFile, expected: "a folder '\(missing)' of that class",
          found: found.isEmpty ? "no folders" : found.joined(separator: ", "))
      }
      guard !classNames.isEmpty else {
        throw DataError(
          file: path, place: .wholeFile, expected: "a folder for each class", found: "no folders")
      }
      for (label, name) in classNames.enumerated() {
        let images = try Self.images(under: "\(path)/\(name)", followLinks: followLinks)
        files += images
        labels += Array(repeating: label, count: images.count)
      }
    case .given(let given):
      files = try Self.images(under: path, followLinks: followLinks)
      labels = given
      classNames = Set(given).sorted().map(String.init)
      guard given.count == files.count else {
        throw DataError(
          file: path, place: .wholeFile, expected: "\(given.count) images, one for each of the given labels",
          found: "\(files.count)")
      }
    case .none: files = try Self.images(under: path, followLinks: followLinks)
    }
    guard !files.isEmpty else {
      throw DataError(
        file: path, place: .wholeFile, expected: "images (\(ImageFile.endings.joined(separator: ", ")))",
        found: "none")
    }
  }

  /// The order changes; each label stays with its file.
  mutating func shuffle(seed: Int) {
    let order = MersenneTwister.permutation(files.count, seed: seed)
    files = order.map { files[$0] }
    if !labels.isEmpty { labels = order.map { labels[$0] } }
  }

  /// Keeps some neighbouring files.
  mutating func keep(_ range: Range<Int>) {
    files = Array(files[range])
    if !labels.isEmpty { labels = Array(labels[range]) }
  }

  // MARK: - Listing

  private static func subfolders(of path: String) throws -> [String] {
    try names(in: path).filter { !$0.hasPrefix(".") && kind("\(path)/\($0)", followLinks: true) == .folder }
  }

  private static func images(under path: String, followLinks: Bool) throws -> [String] {
    var folders = [path]
    var next = 0
    while next < folders.count {
      let folder = folders[next]
      next += 1
      for name in try names(in: folder) where kind("\(folder)/\(name)", followLinks: followLinks) == .folder {
        folders.append("\(folder)/\(name)")
      }
      // A link may lead back to where it lies.
      guard folders.count < 1_000_000 else {
        throw DataError(
          file: path, place: .wholeFile, expected: "fewer than a million folders",
          found: "more", advice: "does a link lead back?")
      }
    }
    return try folders.sorted(by: precedes).flatMap { folder in
      try names(in: folder).compactMap { name in
        let file = "\(folder)/\(name)"
        let lowercase = name.lowercased()
        if let ending = ImageFile.refusedEndings.first(where: lowercase.hasSuffix) {
          throw DataError(
            file: file, place: .wholeFile, expected: "a PNG or JPEG file",
            found: "the name of a \(ending) file",
            advice: "convert it or move it elsewhere")
        }
        guard ImageFile.endings.contains(where: lowercase.hasSuffix) else { return nil }
        return kind(file, followLinks: true) == .folder ? nil : file
      }
    }
  }

  private static func names(in folder: String) throws -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: folder).sorted(by: precedes)
    } catch {
      let found = FileManager.default.fileExists(atPath: folder) ? "none that can be read" : "nothing there"
      throw DataError(file: folder, place: .wholeFile, expected: "a folder of images", found: found)
    }
  }

  private enum Kind { case folder, other }

  private static func kind(_ path: String, followLinks: Bool) -> Kind {
    var status = stat()
    let result = followLinks ? stat(path, &status) : lstat(path, &status)
    return result == 0 && status.st_mode & S_IFMT == S_IFDIR ? .folder : .other
  }

  /// By code points, as Python compares.
  private static func precedes(_ a: String, _ b: String) -> Bool {
    a.utf8.lexicographicallyPrecedes(b.utf8)
  }
}
