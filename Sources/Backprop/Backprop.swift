// Users write one import.
@_exported import BackpropData
@_exported import BackpropNetworks
@_exported import BackpropTensors
