local current = 0

function control(value)
	local name = input_channel()
	if name == "select" then
		current = math.floor(value * 3.999)
		return
	end
	local target = string.format("layer%d.%s", current, name:sub(3))
	local from = output_value(target) or 0
	thread(function()
		for step = 1, 5 do
			output(target, from + (value - from) * step / 5)
			sleep(20)
		end
	end)
end
