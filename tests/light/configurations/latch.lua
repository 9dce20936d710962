-- A press toggles the button's lamp.
local lit = {}

for number = 1, 4 do
	_G["button" .. number] = function(value)
		if value > 0 then
			lit[number] = not lit[number]
			output("led" .. number, lit[number] and 1 or 0)
			output("page", number / 4)
		end
	end
end
