/// Memory that a bound kernel keeps between its calls, aligned as oneDNN likes it.
package final class LastingMemory {
  package let bytes: UnsafeMutableRawPointer
  package init(_ byteCount: Int) { bytes = .allocate(byteCount: max(byteCount, 1), alignment: 64) }
  deinit { bytes.deallocate() }
}
