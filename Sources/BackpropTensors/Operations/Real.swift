import Foundation

/// The two types that reference kernels of real functions are written for.
package protocol Real: BinaryFloatingPoint, Sendable {
  static func exp(_ x: Self) -> Self
  static func expm1(_ x: Self) -> Self
  static func log(_ x: Self) -> Self
  static func log1p(_ x: Self) -> Self
  static func sin(_ x: Self) -> Self
  static func cos(_ x: Self) -> Self
  static func tan(_ x: Self) -> Self
  static func asin(_ x: Self) -> Self
  static func acos(_ x: Self) -> Self
  static func atan(_ x: Self) -> Self
  static func sinh(_ x: Self) -> Self
  static func cosh(_ x: Self) -> Self
  static func tanh(_ x: Self) -> Self
  static func erf(_ x: Self) -> Self
  static func pow(_ x: Self, _ y: Self) -> Self
  static func atan2(_ y: Self, _ x: Self) -> Self
}

extension Float: Real {
  package static func exp(_ x: Float) -> Float { Foundation.exp(x) }
  package static func expm1(_ x: Float) -> Float { Foundation.expm1(x) }
  package static func log(_ x: Float) -> Float { Foundation.log(x) }
  package static func log1p(_ x: Float) -> Float { Foundation.log1p(x) }
  package static func sin(_ x: Float) -> Float { Foundation.sin(x) }
  package static func cos(_ x: Float) -> Float { Foundation.cos(x) }
  package static func tan(_ x: Float) -> Float { Foundation.tan(x) }
  package static func asin(_ x: Float) -> Float { Foundation.asin(x) }
  package static func acos(_ x: Float) -> Float { Foundation.acos(x) }
  package static func atan(_ x: Float) -> Float { Foundation.atan(x) }
  package static func sinh(_ x: Float) -> Float { Foundation.sinh(x) }
  package static func cosh(_ x: Float) -> Float { Foundation.cosh(x) }
  package static func tanh(_ x: Float) -> Float { Foundation.tanh(x) }
  package static func erf(_ x: Float) -> Float { Foundation.erf(x) }
  package static func pow(_ x: Float, _ y: Float) -> Float { Foundation.pow(x, y) }
  package static func atan2(_ y: Float, _ x: Float) -> Float { Foundation.atan2(y, x) }
}

extension Double: Real {
  package static func exp(_ x: Double) -> Double { Foundation.exp(x) }
  package static func expm1(_ x: Double) -> Double { Foundation.expm1(x) }
  package static func log(_ x: Double) -> Double { Foundation.log(x) }
  package static func log1p(_ x: Double) -> Double { Foundation.log1p(x) }
  package static func sin(_ x: Double) -> Double { Foundation.sin(x) }
  package static func cos(_ x: Double) -> Double { Foundation.cos(x) }
  package static func tan(_ x: Double) -> Double { Foundation.tan(x) }
  package static func asin(_ x: Double) -> Double { Foundation.asin(x) }
  package static func acos(_ x: Double) -> Double { Foundation.acos(x) }
  package static func atan(_ x: Double) -> Double { Foundation.atan(x) }
  package static func sinh(_ x: Double) -> Double { Foundation.sinh(x) }
  package static func cosh(_ x: Double) -> Double { Foundation.cosh(x) }
  package static func tanh(_ x: Double) -> Double { Foundation.tanh(x) }
  package static func erf(_ x: Double) -> Double { Foundation.erf(x) }
  package static func pow(_ x: Double, _ y: Double) -> Double { Foundation.pow(x, y) }
  package static func atan2(_ y: Double, _ x: Double) -> Double { Foundation.atan2(y, x) }
}
