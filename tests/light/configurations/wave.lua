local phase = 0

function step()
	phase = phase + 0.1
	for fader = 1, 8 do
		output("out" .. fader, (math.sin(phase + fader / 2) + 1) / 2)
	end
	output("wide", (math.cos(phase) + 1) / 2)
end

interval(step, 50)
