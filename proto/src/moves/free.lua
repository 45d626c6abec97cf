-- Drops the old copy of one key that is safe at the target. KEYS: the key. ARGV: the source's run id, the target's address,
-- the key's database, and from how many bytes on a string is big.
--
-- A server frees what has elements in the background, but a string at once, whatever its size: 256 MB take it 20 ms, in
-- which it serves nobody. A database that is flushed with ASYNC goes as a whole in the background, strings too. So a big
-- string is moved to a database that has no keys, which copies nothing, and that one is flushed, all within this script: no
-- client's key can be there.
redis.call('SELECT', 0)
local mark = redis.call('HGET', '__codis_clean__', ARGV[2])
redis.call('SELECT', ARGV[3])
if mark ~= ARGV[1] then return redis.error_reply('CODISUNCLEAN an earlier MIGRATE to ' .. ARGV[2] .. ' may still be at work') end

local key = KEYS[1]

local function failed(answer) return type(answer) == 'table' and answer.err end

-- The highest of the usual sixteen databases without a key.
local function select_empty()
  for number = 15, 0, -1 do
    if number ~= tonumber(ARGV[3]) and not failed(redis.pcall('SELECT', number)) and redis.call('DBSIZE') == 0 then
      return number
    end
  end
end

local function free_aside()
  local size = redis.pcall('STRLEN', key)
  if failed(size) or size <= tonumber(ARGV[4]) then return false end
  local empty = select_empty()
  -- A server that does not know ASYNC, or that was told to refuse FLUSHDB, says so while nothing is there.
  local can = empty and not failed(redis.pcall('FLUSHDB', 'ASYNC'))
  redis.call('SELECT', ARGV[3])
  if not can or redis.pcall('MOVE', key, empty) ~= 1 then return false end
  redis.call('SELECT', empty)
  redis.call('FLUSHDB', 'ASYNC')
  redis.call('SELECT', ARGV[3])
  return true
end

if free_aside() then return 1 end
local gone = redis.pcall('UNLINK', key)
if failed(gone) then gone = redis.call('DEL', key) end
return gone
