-- Changes the standard libraries; see libraries.rs. `record` takes the name of a loaded file,
-- `exit` ends the worker.
local record, exit = ...

-- What a script prints is forwarded line by line.
io.stdout:setvbuf("line")

os.exit = function(code, close)
	exit(code)
end

-- Modules in Lua are recorded; modules in C are refused by name.
local find_lua = package.searchers[2]
package.searchers[2] = function(name)
	local loader, file = find_lua(name)
	if type(loader) == "function" then record(file) end
	return loader, file
end
local searchpath = package.searchpath
package.searchers[3] = function(name)
	local file, tried = searchpath(name, package.cpath)
	if not file then return tried end
	error(("the module `%s` is a C module (%s); scripts can load modules in Lua only"):format(name, file), 0)
end
package.searchers[4] = nil
package.loadlib = function(file)
	return nil, ("%s is a C module; scripts can load modules in Lua only"):format(file), "absent"
end
local load_file, do_file = loadfile, dofile
loadfile = function(file, ...)
	if file then record(file) end
	return load_file(file, ...)
end
dofile = function(file)
	if file then record(file) end
	return do_file(file)
end

-- The functions of Lua 5.2 that builds of 5.3 for distributions have.
local floor, exp, log, type = math.floor, math.exp, math.log, math.type
math.pow = math.pow or function(x, y) return x ^ y end
math.cosh = math.cosh or function(x) return (exp(x) + exp(-x)) / 2 end
math.sinh = math.sinh or function(x) return (exp(x) - exp(-x)) / 2 end
math.tanh = math.tanh or function(x)
	if x > 20 then return 1.0 elseif x < -20 then return -1.0 end
	local power = exp(2 * x)
	return (power - 1) / (power + 1)
end
math.log10 = math.log10 or function(x) return log(x, 10) end
math.ldexp = math.ldexp or function(x, e) return x * 2.0 ^ e end
math.frexp = math.frexp or function(x)
	if x == 0 or x ~= x or x == 1 / 0 or x == -1 / 0 then return x + 0.0, 0 end
	local magnitude = x < 0 and -x or x
	local exponent = floor(log(magnitude, 2)) + 1
	local mantissa = magnitude / 2.0 ^ exponent
	if mantissa >= 1 then mantissa, exponent = mantissa / 2, exponent + 1 end
	if mantissa < 0.5 then mantissa, exponent = mantissa * 2, exponent - 1 end
	return x < 0 and -mantissa or mantissa, exponent
end
if not bit32 then
	local mask = 0xFFFFFFFF
	local function word(value)
		if type(value) == "float" then value = floor(value % 4294967296.0) end
		return value & mask
	end
	local function fold(start, combine)
		return function(...)
			local result = start
			for index = 1, select("#", ...) do
				result = combine(result, word((select(index, ...))))
			end
			return result
		end
	end
	local function field(index, width)
		width = width or 1
		if index < 0 or width < 1 or index + width > 32 then
			error("trying to access non-existent bits", 3)
		end
		return (1 << width) - 1
	end
	bit32 = {
		band = fold(mask, function(a, b) return a & b end),
		bor = fold(0, function(a, b) return a | b end),
		bxor = fold(0, function(a, b) return a ~ b end),
		bnot = function(value) return ~word(value) & mask end,
		lshift = function(value, count)
			if count < 0 then return word(value) >> -count end
			return word(value) << count & mask
		end,
		rshift = function(value, count)
			if count < 0 then return word(value) << -count & mask end
			return word(value) >> count
		end,
		arshift = function(value, count)
			value = word(value)
			if count < 0 then return value << -count & mask end
			local fill = value & 0x80000000 ~= 0 and ~(mask >> (count > 32 and 32 or count)) or 0
			return (value >> count | fill) & mask
		end,
		lrotate = function(value, count)
			value, count = word(value), count % 32
			return (value << count | value >> (32 - count)) & mask
		end,
		rrotate = function(value, count)
			value, count = word(value), count % 32
			return (value >> count | value << (32 - count)) & mask
		end,
		extract = function(value, index, width)
			local bits = field(index, width)
			return word(value) >> index & bits
		end,
		replace = function(value, replacement, index, width)
			local bits = field(index, width)
			return word(value) & ~(bits << index) & mask | (word(replacement) & bits) << index
		end,
		btest = function(...) return bit32.band(...) ~= 0 end,
	}
	package.loaded.bit32 = bit32
end
