"""What runs a model without torch: prepared once into files, then computed by our kernels or by ONNX Runtime."""
