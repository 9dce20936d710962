-- Runs a script's handlers in a test: send values, read outputs, advance the time. It needs no
-- show and no devices, and does not wait. Works with the interpreter `lua` 5.3 or 5.4.
--
--     local Show = require("consort_harness")
--     local show = Show.new {"chase.lua", channels = {"lamp1", "lamp2"}}
--     show:input("run", 1)
--     show:advance(0.8)
--     for _, output in ipairs(show:take()) do print(output[1], output[2]) end
--     show:finish()
--
-- | function | what it does |
-- |---|---|
-- | `Show.new {scripts..., channels = {...}, default_handler = "..."}` | loads the scripts |
-- | `show:input(channel, value)` | sends a number or a text: calls the handler, if there is one |
-- | `show:advance(seconds)` | advances the time: calls intervals and resumes sleeping threads |
-- | `show:take()` | the outputs since the last call: a list of `{channel, value}` |
-- | `show:finish()` | calls the cleanup handler |
-- | `show.globals` | the globals of the scripts |

local Show = {}
Show.__index = Show

local function clip(value)
	if value ~= value then return 0.0 end
	return value < 0 and 0.0 or value > 1 and 1.0 or value + 0.0
end

local function milliseconds(name, value)
	assert(type(value) == "number" and value >= 0 and value <= 86400000,
		name .. ": expected 0 to 86400000 milliseconds")
	return value
end

-- The functions that scripts can call.
local function functions(show)
	local interface = {}

	function interface.output(name, value, kind)
		assert(type(name) == "string", "output: expected the name of a channel")
		local channel = show.known[name]
		if not channel then
			if not show.loading then
				show.outputs[#show.outputs + 1] = {name, value}
				return
			end
			channel = show:add_channel(name)
		end
		if type(value) == "string" and (kind == "text" or not tonumber(value)) then
			assert(#value <= 1024, "output: a text must have at most 1024 bytes")
		else
			value = clip(assert(tonumber(value), "output: expected a number or a string"))
			channel.output = value
		end
		show.outputs[#show.outputs + 1] = {name, value}
	end

	function interface.input_value(name)
		return show.known[name] and show.known[name].input
	end

	function interface.output_value(name)
		return show.known[name] and show.known[name].output
	end

	function interface.input_channel()
		return show.current
	end

	function interface.channels()
		local names = {}
		for index, channel in ipairs(show.list) do names[index] = channel.name end
		return names
	end

	function interface.timestamp()
		return math.floor(show.time * 1000 + 0.5)
	end

	function interface.interval(call, period)
		local steps = math.floor(milliseconds("interval", period) / 10 + 0.5)
		if period > 0 and steps == 0 then steps = 1 end
		for index, entry in ipairs(show.waiting) do
			if entry.period and entry.call == call then
				table.remove(show.waiting, index)
				break
			end
		end
		if steps > 0 then show:wait(call, steps / 100, steps / 100) end
	end

	function interface.cleanup_handler(call)
		local previous = show.cleanup
		show.cleanup = call
		return previous
	end

	function interface.thread(call)
		local current = show.current
		show.current = nil
		show:resume(coroutine.create(call))
		show.current = current
	end

	function interface.sleep(time)
		if not coroutine.isyieldable() then error("sleep: only inside a thread", 2) end
		coroutine.yield(milliseconds("sleep", time))
	end

	return interface
end

-- Loads scripts, relative to the working directory. `channels` are those that a configuration would
-- map; channels that get an input are added automatically.
function Show.new(options)
	local show = setmetatable({
		known = {}, list = {}, outputs = {}, waiting = {}, time = 0.0, order = 0, loading = true,
	}, Show)
	for _, name in ipairs(options.channels or {}) do show:add_channel(name) end
	show.interface = functions(show)
	show.globals = setmetatable(functions(show), {__index = _G})
	show.globals._G = show.globals
	for name, call in pairs(show.interface) do show.globals[name] = call end
	for _, file in ipairs(options) do
		assert(loadfile(file, "t", show.globals))()
	end
	show.loading = false
	show.default_handler = options.default_handler
	return show
end

function Show:add_channel(name)
	if not self.known[name] then
		local channel = {name = name, input = 0.0, output = 0.0}
		self.known[name] = channel
		self.list[#self.list + 1] = channel
	end
	return self.known[name]
end

function Show:input(name, value)
	local channel = self:add_channel(name)
	if type(value) ~= "string" then value = clip(value) end
	local handler = rawget(self.globals, self.default_handler or name)
	if handler == self.interface[name] and not self.default_handler then handler = nil end
	if type(handler) == "function" then
		self.current = name
		local done, message = xpcall(handler, debug.traceback, value)
		self.current = nil
		if not done then error(message, 0) end
	end
	if type(value) ~= "string" then channel.input = value end
end

function Show:take()
	local taken = self.outputs
	self.outputs = {}
	return taken
end

function Show:advance(seconds)
	local finish = self.time + seconds
	while true do
		local first
		for _, entry in ipairs(self.waiting) do
			-- Times are multiples of a millisecond; the tolerance absorbs rounding.
			if entry.due <= finish + 1e-9 and (not first or entry.due < first.due - 1e-9
				or math.abs(entry.due - first.due) <= 1e-9 and entry.order < first.order) then
				first = entry
			end
		end
		if not first then break end
		self.time = math.max(self.time, first.due)
		if first.period then
			first.due = first.due + first.period
			first.call()
		else
			for index, entry in ipairs(self.waiting) do
				if entry == first then table.remove(self.waiting, index) break end
			end
			self:resume(first.call)
		end
	end
	self.time = finish
end

function Show:finish()
	local cleanup = self.cleanup
	self.cleanup = nil
	if cleanup then cleanup() end
end

-- Calls a function or resumes a thread after a time.
function Show:wait(call, seconds, period)
	self.order = self.order + 1
	self.waiting[#self.waiting + 1] =
		{call = call, due = self.time + seconds, period = period, order = self.order}
end

function Show:resume(thread)
	local done, time = coroutine.resume(thread)
	if not done then error(debug.traceback(thread, tostring(time)), 0) end
	if coroutine.status(thread) == "suspended" then
		self:wait(thread, math.max(tonumber(time) or 0, 1) / 1000)
	end
end

return Show
