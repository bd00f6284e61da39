/// Keras' spellings, derived from one another so that no table has to hold both.
enum KerasNaming {
  /// `GlorotUniform` → `glorot_uniform`, `kernelInitializer` → `kernel_initializer`, `beta1` → `beta_1`, `L1L2` → `l1_l2`,
  /// `KLDivergence` → `kl_divergence`.
  static func snake(_ name: String) -> String {
    var result = ""
    let characters = Array(name)
    var lettersInWord = 0
    for (position, character) in characters.enumerated() {
      let next = position + 1 < characters.count ? characters[position + 1] : nil
      let before = position > 0 ? characters[position - 1] : nil
      if character.isUppercase {
        let startsWord =
          before.map { $0.isLowercase || $0.isNumber || ($0.isUppercase && next?.isLowercase == true) }
          ?? false
        if startsWord {
          result.append("_")
          lettersInWord = 0
        }
      } else if character.isNumber, before?.isLowercase == true, lettersInWord > 1 {
        result.append("_")
        lettersInWord = 0
      }
      lettersInWord += character.isLetter ? 1 : 0
      if character == "_" { lettersInWord = 0 }
      result.append(Character(character.lowercased()))
    }
    return result
  }

  /// `kernel_initializer` → `kernelInitializer`, `beta_1` → `beta1`.
  static func camel(_ name: String) -> String {
    let words = name.split(separator: "_", omittingEmptySubsequences: true)
    guard let first = words.first else { return name }
    return String(first) + words.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
  }
}
