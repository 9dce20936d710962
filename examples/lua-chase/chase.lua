-- A chase over eight lamps: they light up in turn, and each fades while the next ones light up.

local LAMPS = 8
local FADE = 0.6 -- the part of a lamp's brightness that remains after each step

local lamps = {}
for lamp = 1, LAMPS do lamps[lamp] = 0 end
local position, maximum, running = 0, 1, true

local function show()
	for lamp = 1, LAMPS do output("lamp" .. lamp, lamps[lamp] * maximum) end
end

local function step()
	if not running then return end
	position = position % LAMPS + 1
	for lamp = 1, LAMPS do lamps[lamp] = lamps[lamp] * FADE end
	lamps[position] = 1
	show()
end

-- Sets the speed, from 0 (2 steps per second) to 1 (20 steps per second).
function speed(value)
	interval(step, 500 - 450 * value)
end

function level(value)
	maximum = value
	show()
end

function run(value)
	running = value >= 0.5
end

-- Turns the lamps off when the show ends.
cleanup_handler(function()
	for lamp = 1, LAMPS do output("lamp" .. lamp, 0) end
end)

interval(step, 250)
