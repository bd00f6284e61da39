/// The parts of a zip file that both sides need. Source: PKWARE's APPNOTE.TXT 6.3, sections 4.3.7, 4.3.12, 4.3.14–16.
enum ZipFormat {
  static let localHeader: [UInt8] = Array("PK\u{3}\u{4}".utf8)
  static let centralHeader: [UInt8] = Array("PK\u{1}\u{2}".utf8)
  static let end: [UInt8] = Array("PK\u{5}\u{6}".utf8)
  static let end64: [UInt8] = Array("PK\u{6}\u{6}".utf8)
  static let locator64: [UInt8] = Array("PK\u{6}\u{7}".utf8)

  static let endSize = 22
  static let locator64Size = 20
  static let centralHeaderSize = 46
  static let localHeaderSize = 30

  /// What a 32-bit field holds when the number stands in the ZIP64 extra field.
  static let in64 = 0xFFFF_FFFF
  /// The extra field that holds 64-bit sizes and offsets.
  static let extra64 = 1

  /// 1980-01-01 00:00, the first date that the format knows. Keras dates its JSON members so.
  static let date: UInt16 = 0x21
  static let time: UInt16 = 0
}
