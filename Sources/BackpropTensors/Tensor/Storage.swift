import Foundation
import Synchronization

/// Memory that holds elements: 64-byte aligned, freed with its last owner.
///
/// Written only by whoever makes it, before a tensor shares it; the exception is a pinned ``Variable``, which copies
/// when it is read.
package final class Storage: @unchecked Sendable {
  package let bytes: UnsafeMutableRawPointer
  package let byteCount: Int
  private let owner: AnyObject?

  package init(byteCount: Int) {
    self.byteCount = byteCount
    bytes = StoragePool.take(byteCount)
    owner = nil
  }

  /// Memory that belongs to `owner`, such as a mapped file; kept alive with this storage.
  package init(bytes: UnsafeMutableRawPointer, byteCount: Int, owner: AnyObject) {
    self.bytes = bytes
    self.byteCount = byteCount
    self.owner = owner
  }

  deinit {
    if owner == nil { StoragePool.give(bytes, byteCount) }
  }
}

/// Keeps freed buffers for the next tensor of about the same size: a fresh page costs a fault of about 0.25 µs for each
/// 4 KiB, more than the work on it in eager mode.
private enum StoragePool {
  private struct Buffers: @unchecked Sendable {
    var free: [Int: [UnsafeMutableRawPointer]] = [:]
    var bytes = 0
  }

  private static let buffers = Mutex(Buffers())
  #if EXACT_STORAGE
    // For AddressSanitizer: it sees no use of memory that is kept here, nor of what lies between size and capacity.
    private static let limit = 0
  #else
    private static let limit = 64 << 20
  #endif
  private static let largePage = 2 << 20

  /// Sizes are rounded up so that buffers of nearly equal tensors are shared: to 64 bytes, then to an eighth of the
  /// next power of two.
  private static func capacity(_ byteCount: Int) -> Int {
    #if EXACT_STORAGE
      return byteCount
    #else
      guard byteCount > 512 else { return max(64, (byteCount + 63) & ~63) }
      let step = max(64, (1 << (Int.bitWidth - byteCount.leadingZeroBitCount)) >> 4)
      return (byteCount + step - 1) / step * step
    #endif
  }

  static func take(_ byteCount: Int) -> UnsafeMutableRawPointer {
    let capacity = capacity(byteCount)
    let kept = buffers.withLock { buffers -> UncheckedPointer? in
      guard let pointer = buffers.free[capacity]?.popLast() else { return nil }
      buffers.bytes -= capacity
      return UncheckedPointer(pointer)
    }
    if let kept { return kept.pointer }
    var pointer: UnsafeMutableRawPointer?
    // Large buffers get large pages where the system has them: rows picked here and there from 47 MB of pictures cost a
    // third less, matmul over large weights 1–2 %.
    let isLarge = capacity >= largePage
    guard posix_memalign(&pointer, isLarge ? largePage : 64, capacity) == 0, let pointer else {
      programmerError("no memory for a tensor of \(byteCount) bytes")
    }
    #if os(Linux)
      if isLarge { madvise(pointer, capacity, MADV_HUGEPAGE) }
    #endif
    return pointer
  }

  static func give(_ pointer: UnsafeMutableRawPointer, _ byteCount: Int) {
    let capacity = capacity(byteCount)
    let wrapped = UncheckedPointer(pointer)
    let kept = buffers.withLock { buffers in
      guard buffers.bytes + capacity <= limit else { return false }
      buffers.free[capacity, default: []].append(wrapped.pointer)
      buffers.bytes += capacity
      return true
    }
    if !kept { free(pointer) }
  }
}

/// A pointer handed across a lock.
private struct UncheckedPointer: @unchecked Sendable {
  let pointer: UnsafeMutableRawPointer
  init(_ pointer: UnsafeMutableRawPointer) { self.pointer = pointer }
}
