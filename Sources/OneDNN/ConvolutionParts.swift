extension Convolution {
  /// A share of the work, which depends on no other share.
  struct Part: Sendable {
    /// What it computes.
    var description: Description
    /// Bytes from the beginning of the whole src and dst to the share's.
    var source = 0
    var destination = 0
  }
}

extension Convolution.Description {
  /// What threads are given: some images each or, forward, where there are fewer images than threads, some rows of the
  /// results of one image.
  func parts(threads: Int) -> [Convolution.Part] {
    if direction == .forward, batch < threads, isShared(by: threads), let bands = bands(threads / batch) {
      return bands
    }
    return images(threads: threads).map { images in
      var part = Convolution.Part(description: self)
      part.description.batch = images.count
      part.source = images.lowerBound * sourceBytes
      part.destination = images.lowerBound * destinationBytes
      return part
    }
  }

  /// Images are shared out. By weights each part makes a sum of its own, so there are no more than there are threads;
  /// otherwise twice as many where that costs nothing, so that a thread that is held up leaves the others some of its
  /// share.
  func images(threads: Int) -> [Range<Int>] {
    guard isShared(by: threads) else { return [0..<batch] }
    let wanted = direction != .weights && batch >= 8 * threads ? 2 * threads : threads
    let count = min(wanted, batch)
    return (0..<count).map { batch * $0 / count..<batch * ($0 + 1) / count }
  }

  /// With little work the second thread costs more than it saves. Forward that is little indeed: what follows finds its
  /// rows in its own core's cache (MNIST's convnet, one sample: 62-67 → 51-57 µs).
  private func isShared(by threads: Int) -> Bool {
    let kernelSize = kernel.reduce(1, *) * inputChannels / groups
    return threads > 1
      && batch * output.reduce(1, *) * outputChannels * kernelSize
        >= (direction == .forward ? 1 << 17 : 1 << 19)
  }

  /// Bands of rows of each image's results. A band reads neighbouring rows, which lie one after the other: it is a
  /// convolution by itself, with padding where it has an edge of the image. nil where one would read nothing but padding.
  private func bands(_ wanted: Int) -> [Convolution.Part]? {
    let count = min(wanted, output[0])
    guard count > 1 else { return nil }
    let reach = (kernel[0] - 1) * dilation[0] + 1
    var bands: [Convolution.Part] = []
    for image in 0..<batch {
      for number in 0..<count {
        let rows = output[0] * number / count..<output[0] * (number + 1) / count
        let begin = rows.lowerBound * strides[0] - paddingBefore[0]
        let end = (rows.upperBound - 1) * strides[0] - paddingBefore[0] + reach
        let (first, last) = (max(begin, 0), min(end, input[0]))
        guard first < last else { return nil }
        var band = Convolution.Part(description: self)
        band.description.batch = 1
        band.description.input[0] = last - first
        band.description.output[0] = rows.count
        band.description.paddingBefore[0] = first - begin
        band.description.paddingAfter[0] = end - last
        band.source = image * sourceBytes + first * (sourceBytes / input[0])
        band.destination = image * destinationBytes + rows.lowerBound * (destinationBytes / output[0])
        bands.append(band)
      }
    }
    return bands
  }

  /// Bytes of one image, and of its results.
  private var sourceBytes: Int { input.reduce(inputChannels * sourceType.size, *) }
  private var destinationBytes: Int { output.reduce(outputChannels * destinationType.size, *) }
}
