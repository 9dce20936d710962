function show(value)
	print(string.format("%s is now %.3f", input_channel(), value))
end
