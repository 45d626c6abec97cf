-- Moves keys to another server, see docs/migration.md. In one atomic step on the source.
--
-- KEYS: the keys, all of the selected database.
-- ARGV: run id, host, port, database there, timeout in ms, COPY or -, big bytes, big elements,
--       budget in bytes, password of the target (may be empty), target's address as its field in the clean hash.
-- Answer: one number for each key, then the bytes that went, how long it took in microseconds, and the words of the last failure.
--   0 not here   1 is at the target now   2 was at the target before   3 big, left alone
--   4 failed     5 not tried: the budget was used up
-- With COPY, keys that are 1 or 2 are still here.

-- Redis before 5.0 would have its replicas run the script, which must not move keys anywhere, instead of what it did.
if redis.replicate_commands then redis.replicate_commands() end

-- In microseconds; always 0 where the server is not to be asked for it.
local function now()
  local time = redis.pcall('TIME')
  return time.err and 0 or time[1] * 1000000 + time[2]
end
local began = now()

local run, host, port, db, timeout = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local copy = ARGV[6] == 'COPY'
local big_bytes, big_elements, budget = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])

-- The clean hash is in database 0, whichever is selected.
local function clean(command, field)
  redis.call('SELECT', '0')
  local answer = redis.call(command, '__codis_clean__', field or ARGV[11])
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

local function drop(key)
  local answer = redis.pcall('UNLINK', key)
  if type(answer) == 'table' then redis.call('DEL', key) end
end

local answer, some, places, bytes, failure = {}, {}, {}, 0, ''
for i, key in ipairs(KEYS) do
  local size = bytes >= budget or size_of(key)
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

-- One of the keys that were to go has failed, those after it are not tried.
local function give_up(first, words)
  for i = first, #places do answer[places[i]] = i == first and 4 or 5 end
  failure = words
end

-- Moves the keys by the command of Codis's own servers: for a MIGRATE that has no word for the target's password, while
-- this command gives it the source's own. It overwrites what the target has, which is right as long as no key
-- can have come back here: in the run of this server in which the moves to the target began. After that keys
-- go as big ones do, which overwrites nothing. Answers the words where the outcome is not known.
local function migrate_as_codis(keys)
  if copy then
    return give_up(1, 'SLOTSMGRTONE keeps no copy here until replicas of the target have the key: with ' ..
      'migration_durability none it is used')
  end
  if clean('HGET', ARGV[11] .. ' began') ~= run then
    for i = 1, #places do answer[places[i]] = 3 end
    return
  end
  for i, key in ipairs(keys) do
    local moved = redis.pcall('SLOTSMGRTONE', host, port, timeout, key)
    local words = type(moved) == 'table' and moved.err
    if words then
      if string.find(words, 'IOERR', 1, true) then return words end
      -- What was sent behind an AUTH or a SELECT that was refused may have been done all the same.
      if string.find(words, 'auth failed', 1, true) or string.find(words, 'select failed', 1, true) then
        clean('HDEL')
      end
      return give_up(i, words)
    end
  end
end

if #some > 0 then
  local words = migrate(some)
  if words and ARGV[10] ~= '' and string.find(words, '^ERR syntax error') then
    local lost = migrate_as_codis(some)
    if lost then return unknown(lost) end
  elseif words then
    if string.find(words, 'IOERR', 1, true) then return unknown(words) end
    if #some > 1 then
      -- The target's refusal of one key hides whether the answer for another was lost.
      clean('HDEL')
      return redis.error_reply('CODISSEVERAL ' .. words)
    end
    if string.find(words, 'BUSYKEY', 1, true) then
      answer[places[1]] = 2
      if not copy then drop(some[1]) end
    else
      answer[places[1]] = 4
      failure = words
    end
  end
end

answer[#KEYS + 1] = bytes
answer[#KEYS + 2] = now() - began
answer[#KEYS + 3] = failure
return answer
