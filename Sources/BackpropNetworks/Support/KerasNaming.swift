import Synchronization

/// Keras' spellings, derived from one another so that no table has to hold both.
enum KerasNaming {
  /// Layers, losses and metrics ask for the same few names at every eager step.
  private static let known = Mutex<[String: String]>([:])

  /// A class's name in a path or as a string: `GlorotUniform` → `glorot_uniform`, `KLDivergence` → `kl_divergence`,
  /// `PReLU` → `p_re_lu`, `Conv2DTranspose` → `conv2d_transpose`.
  static func snake(_ name: String) -> String {
    if let known = known.withLock({ $0[name] }) { return known }
    let words = makeSnake(name)
    // Names may come from files, whose number has no end.
    known.withLock { if $0.count < 4096 { $0[name] = words } }
    return words
  }

  private static func makeSnake(_ name: String) -> String {
    var result = ""
    let characters = Array(name)
    for (position, character) in characters.enumerated() {
      let next = position + 1 < characters.count ? characters[position + 1] : nil
      let before = position > 0 ? characters[position - 1] : nil
      let startsWord = character.isUppercase && (before?.isLowercase == true || next?.isLowercase == true)
      if startsWord, before != nil { result.append("_") }
      result.append(Character(character.lowercased()))
    }
    return result
  }

  /// A property's name in a configuration: `kernelInitializer` → `kernel_initializer`, `beta1` → `beta_1`, but `l1` →
  /// `l1`.
  static func key(_ property: String) -> String {
    let words = snake(property)
    let letters = words.prefix { !$0.isNumber }
    guard letters.count > 1, letters.count < words.count, letters.last != "_" else { return words }
    return letters + "_" + words.dropFirst(letters.count)
  }

  /// The property of a configuration's key: `kernel_initializer` → `kernelInitializer`, `beta_1` → `beta1`.
  static func camel(_ key: String) -> String {
    let words = key.split(separator: "_", omittingEmptySubsequences: true)
    guard let first = words.first else { return key }
    return String(first) + words.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
  }
}
