-- A chase over eight lamps: each lights up in its turn and fades while the next ones run.

local LAMPS = 8
local FADE = 0.6 -- what is left of a lamp's light after each step

local lamps = {}
for lamp = 1, LAMPS do lamps[lamp] = 0 end
local at, top, running = 0, 1, true

local function show()
	for lamp = 1, LAMPS do output("lamp" .. lamp, lamps[lamp] * top) end
end

local function step()
	if not running then return end
	at = at % LAMPS + 1
	for lamp = 1, LAMPS do lamps[lamp] = lamps[lamp] * FADE end
	lamps[at] = 1
	show()
end

-- From 0 (two steps a second) to 1 (twenty).
function speed(value)
	interval(step, 500 - 450 * value)
end

function level(value)
	top = value
	show()
end

function run(value)
	running = value >= 0.5
end

-- The lamps go out with the show.
cleanup_handler(function()
	for lamp = 1, LAMPS do output("lamp" .. lamp, 0) end
end)

interval(step, 250)
