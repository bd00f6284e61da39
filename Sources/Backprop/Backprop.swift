// Users write one import.
@_exported import BackpropData
@_exported import BackpropFiles
@_exported import BackpropNetworks
@_exported import BackpropTensors
