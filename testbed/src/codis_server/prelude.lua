-- Scripts as Redis 3.2 runs them. OUT is the port that moves go by, DATABASE the selected one, COMMANDS what there is.
local real, random, wrote, effects = redis, false, false, false
local redis = setmetatable({}, { __index = real })
local special = {}
function redis.replicate_commands()
  if wrote then return false end
  effects = true
  return true
end
local function refusal(name, words)
  local about = COMMANDS[name]
  if not about then return '@user_script: 1: Unknown Redis command called from Lua script' end
  local arity, flags = about[1], about[2]
  if (arity > 0 and words ~= arity) or words < -arity then
    return '@user_script: 1: Wrong number of args calling Redis command From Lua script'
  end
  if string.find(flags, 's', 1, true) then return 'This Redis command is not allowed from scripts' end
  if string.find(flags, 'w', 1, true) then
    if random and not effects then
      return 'Write commands not allowed after non deterministic commands. Call redis.replicate_commands()'
    end
    wrote = true
  end
  if string.find(flags, 'R', 1, true) then random = true end
end
function redis.pcall(name, ...)
  local lower = string.lower(name)
  local words = refusal(lower, select('#', ...) + 1)
  if words then return { err = words } end
  if special[lower] then return special[lower](...) end
  return real.pcall(name, ...)
end
function redis.call(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then error(answer) end
  return answer
end
function special.select(database)
  DATABASE = tostring(database)
  return real.pcall('SELECT', database)
end
function special.migrate(host, port, key, database, timeout, ...)
  local options, keys = { ... }, false
  for _, option in ipairs(options) do
    local name = string.upper(option)
    keys = keys or name == 'KEYS'
    if not keys and name ~= 'COPY' and name ~= 'REPLACE' then return { err = 'ERR syntax error' } end
  end
  if not effects then return { err = 'ERR replicas would run this script and its MIGRATE themselves' } end
  return real.pcall('MIGRATE', '127.0.0.1', OUT, key, database, timeout, 'AUTH', 'plain ' .. host .. ':' .. port, ...)
end
local function hand_on(host, port, timeout, keys)
  if not effects then return { err = 'ERR replicas would run this script and its move themselves' } end
  if tonumber(timeout) == 0 then timeout = '100' end
  local there = {}
  for _, key in ipairs(keys) do
    if real.call('EXISTS', key) == 1 then there[#there + 1] = key end
  end
  if #there == 0 then return 0 end
  local way = 'codis ' .. host .. ':' .. port
  local answer = real.pcall('MIGRATE', '127.0.0.1', OUT, '', DATABASE, timeout, 'REPLACE', 'AUTH', way, 'KEYS', unpack(there))
  if not answer.err then return #there end
  if string.find(answer.err, 'IOERR', 1, true) then return { err = 'IOERR error or timeout reading from target' } end
  for _, what in ipairs({ 'auth', 'select' }) do
    if string.find(answer.err, what .. ' failed', 1, true) then
      return { err = 'ERR error on slotsrestore, ' .. what .. ' failed' }
    end
  end
  return { err = 'ERR error on slotsrestore, migration failed' }
end
function special.slotsmgrtone(host, port, timeout, key)
  return hand_on(host, port, timeout, { key })
end
local function tag_of(key) return string.match(key, '^[^{]*{([^}]*)}') end
function special.slotsmgrttagone(host, port, timeout, key)
  local tag, keys = tag_of(key), {}
  if not tag then return hand_on(host, port, timeout, { key }) end
  for _, other in ipairs(real.call('KEYS', '*')) do
    if tag_of(other) == tag then keys[#keys + 1] = other end
  end
  return hand_on(host, port, timeout, keys)
end
