-- How many bytes a key takes, nil or false where there is none. Part of the scripts that move and weigh keys.
--
-- A server before Redis 4.0 does not measure keys: there the first elements of a key stand for all of them.
local measures = true

-- What an element takes beside its own bytes, and how many are looked at.
local ELEMENT_BYTES, SAMPLES = 48, 5

local function first_elements(kind, key)
  if kind == 'list' then
    return redis.call('LLEN', key), redis.call('LRANGE', key, 0, SAMPLES - 1), 1
  elseif kind == 'set' then
    return redis.call('SCARD', key), redis.call('SSCAN', key, 0, 'COUNT', SAMPLES)[2], 1
  elseif kind == 'zset' then
    return redis.call('ZCARD', key), redis.call('ZRANGE', key, 0, SAMPLES - 1), 1
  elseif kind == 'hash' then
    return redis.call('HLEN', key), redis.call('HSCAN', key, 0, 'COUNT', SAMPLES)[2], 2
  end
  return 0, {}, 1
end

local function estimate(key)
  local kind = redis.call('TYPE', key)
  kind = kind.ok or kind
  if kind == 'none' then return false end
  local own = #key + ELEMENT_BYTES
  if kind == 'string' then return own + redis.call('STRLEN', key) end
  local count, some, parts = first_elements(kind, key)
  local bytes = 0
  for i = 1, #some do bytes = bytes + #some[i] end
  local each = #some > 0 and bytes * parts / #some or 0
  return own + math.ceil(count * (each + parts * ELEMENT_BYTES))
end

local function size_of(key)
  if measures then
    local size = redis.pcall('MEMORY', 'USAGE', key)
    if type(size) ~= 'table' then return size end
    measures = false
  end
  return estimate(key)
end

