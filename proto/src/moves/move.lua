-- Moves keys to another server, see docs/migration.md. In one atomic step on the source.
--
-- KEYS: the keys, all of the selected database.
-- ARGV: run id, host, port, database there, timeout in ms, COPY or -, big bytes, big elements,
--       budget in bytes, password of the target (may be empty), target's address as its field in the clean hash.
-- Answer: one number for each key, then the bytes that went, then the words of the last failure.
--   0 not here   1 is at the target now   2 was at the target before   3 big, left alone
--   4 failed     5 not tried: the budget was used up
-- With COPY, keys that are 1 or 2 are still here.
local run, host, port, db, timeout = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local copy = ARGV[6] == 'COPY'
local big_bytes, big_elements, budget = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])

-- The clean hash is in database 0, whichever is selected.
local function clean(command)
  redis.call('SELECT', '0')
  local answer = redis.call(command, '__codis_clean__', ARGV[11])
  redis.call('SELECT', db)
  return answer
end

if clean('HGET') ~= run then
  return redis.error_reply('CODISUNCLEAN an earlier MIGRATE to ' .. ARGV[11] .. ' may still be at work')
end

local count = { list = 'LLEN', set = 'SCARD', zset = 'ZCARD', hash = 'HLEN', stream = 'XLEN' }

local function is_big(key, bytes)
  if bytes > big_bytes then return true end
  -- Elements take at least a byte and a half each.
  if bytes * 2 < big_elements * 3 then return false end
  local kind = redis.call('TYPE', key)
  local command = count[kind.ok or kind]
  return command and redis.call(command, key) > big_elements
end

local function migrate(keys)
  local command = { 'MIGRATE', host, port, '', db, timeout }
  if copy then command[#command + 1] = 'COPY' end
  if ARGV[10] ~= '' then
    command[#command + 1] = 'AUTH'
    command[#command + 1] = ARGV[10]
  end
  command[#command + 1] = 'KEYS'
  for i = 1, #keys do command[#command + 1] = keys[i] end
  local answer = redis.pcall(unpack(command))
  return type(answer) == 'table' and answer.err
end

local answer, some, places, bytes, failure = {}, {}, {}, 0, ''
for i, key in ipairs(KEYS) do
  local size = bytes >= budget or redis.call('MEMORY', 'USAGE', key)
  if size == true then answer[i] = 5
  elseif not size then answer[i] = 0
  elseif is_big(key, size) then answer[i] = 3
  else
    bytes = bytes + size
    some[#some + 1] = key
    places[#places + 1] = i
    answer[i] = 1
  end
end

local function unknown(words)
  -- HDEL needs no memory, so that it works where SET would not.
  clean('HDEL')
  return redis.error_reply('CODISUNKNOWN ' .. words)
end

if #some > 0 then
  local words = migrate(some)
  if words then
    if string.find(words, 'IOERR', 1, true) then return unknown(words) end
    if #some > 1 then
      -- The target's refusal of one key hides whether the answer for another was lost.
      clean('HDEL')
      return redis.error_reply('CODISSEVERAL ' .. words)
    end
    if string.find(words, 'BUSYKEY', 1, true) then
      answer[places[1]] = 2
      if not copy then redis.call('UNLINK', some[1]) end
    else
      answer[places[1]] = 4
      failure = words
    end
  end
end

answer[#KEYS + 1] = bytes
answer[#KEYS + 2] = failure
return answer
