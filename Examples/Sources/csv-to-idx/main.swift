// Turns a CSV file of pictures, the label in its first column and pixels of 0...255 in the others, into two IDX files.
import Backprop
import Foundation

let arguments = CommandLine.arguments.dropFirst()
let side = arguments.dropFirst().first?.split(separator: "x").compactMap { Int($0) } ?? []
guard arguments.count == 4, side.count == 2, side.allSatisfy({ $0 > 0 && $0 < 1 << 16 }) else {
  fail("usage: csv-to-idx FILE.csv HEIGHTxWIDTH IMAGES LABELS")
}
let files = Array(arguments)

do {
  let data = try CSV.load(files[0], label: .first)
  guard data.inputs.sampleShape == [side[0] * side[1]] else {
    fail("\(files[0]): expected \(side[0] * side[1]) pixels a row, found \(data.inputs.sampleShape)")
  }
  let images = data.inputs.reshapingSamples(to: Shape(side)).tensor
  for (name, values) in [("pixels", images), ("labels", data.labels.tensor)] {
    let (low, high) = (values.min().item(), values.max().item())
    guard low >= 0, high <= 255 else {
      fail("\(files[0]): expected \(name) in 0...255, found \(low)...\(high)")
    }
  }
  try IDX.save(images.cast(to: .uint8), to: files[2])
  try IDX.save(data.labels.tensor.cast(to: .uint8), to: files[3])
  print("\(files[0]): \(data.count) pictures of \(side[0])×\(side[1])")
} catch {
  fail("\(error)")
}

func fail(_ message: String) -> Never {
  FileHandle.standardError.write(Data((message + "\n").utf8))
  exit(1)
}
