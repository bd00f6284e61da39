import Backprop
import BackpropImages

/// How to read image files.
struct ImageOptions: ParameterGroup {
  static let title = "Images"

  @Option(
    "image-size", "HEIGHTxWIDTH",
    "the size that images are brought to, where no model says which it takes")
  var size = PictureSize(height: 64, width: 64)

  @Option("color-mode", "MODE", "what pixels consist of, where no model says it.")
  var colorMode = ColorModeChoice.rgb

  @Option(
    "pixel-range", "RANGE",
    """
    what a white pixel reads as: unit is 1, byte is 255, for networks of Keras' that take bytes and begin with Rescaling.
    """)
  var range = PixelRange.unit

  /// The pictures as rows, kept as bytes.
  ///
  /// - Parameter sample: what the model takes. [height, width, channels] decides where the options say nothing.
  /// - Throws: ``DataError``.
  func column(_ rows: ImageRows, for sample: Shape?) throws -> Column {
    var size = size
    var mode = colorMode.mode
    if let sample, sample.rank == 3, let taken = ColorMode.allCases.first(where: { $0.channels == sample[2] })
    {
      if !_size.isGiven { size = PictureSize(height: sample[0], width: sample[1]) }
      if !_colorMode.isGiven { mode = taken }
    }
    return Column(try rows.load(height: size.height, width: size.width, mode), scale: range.scale)
  }
}

/// `64x64`
struct PictureSize: ArgumentValue, Equatable {
  let height: Int
  let width: Int

  static let expected = "a height and a width from 1 to 4096, as 64x64"

  init(height: Int, width: Int) {
    self.height = height
    self.width = width
  }

  init?(argument text: String) {
    let sides = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
    guard sides.count == 2, sides.allSatisfy({ (1...4096).contains($0) }) else { return nil }
    self.init(height: sides[0], width: sides[1])
  }

  var argument: String { "\(height)x\(width)" }
}

enum ColorModeChoice: String, CaseIterable, ArgumentValue {
  case rgb, grayscale, rgba

  var mode: ColorMode {
    switch self {
    case .rgb: .rgb
    case .grayscale: .grayscale
    case .rgba: .rgba
    }
  }
}

enum PixelRange: String, CaseIterable, ArgumentValue {
  case unit, byte

  var scale: Float { self == .unit ? 1 / 255 : 1 }
}
