// What the shared tier does inside Redis, each step atomic. Text only. Needs Redis 7 or Valkey. All keys of a script are
// declared and share one hash tag.
//
// Three kinds of keys, each below the shard's prefix:
//   e:KEY  an entry: a line `1 EPOCH COUNTER VERSION FRESH GONE LOAD FORMAT KIND TAGS`, then the value. Times: server's ms.
//   c:KEY  control of a key, a hash: `l` the lease and until when; `f:TOKEN` a fence: until when, 1 while nothing crossed it
//          (another fence, a forget), counter and epoch of its beginning; `s` the fence under whose token the entry was
//          set; `v` the floor of versions. It may vanish (evicted): a lost lease or fence refuses the set.
//   clock  a sorted set: `#` the counter, `!` the epoch, `t:TAG` and `s:TAG` the counter at the tag's last hard and soft
//          invalidation, `*` at the last soft one of everything, `~` the longest life of an entry.
//   f:TAG  fences of a tag, a hash: TOKEN and the same.
// An entry is valid while the clock has its epoch and none of its tags has a counter above its own, which is that of the
// moment when its lease was given. The clock is one key, so it is lost as a whole (evicted, another server): then a new
// epoch begins and every entry of the shard is a miss. Counters never go back within an epoch, whatever the host's time does.

import { defineScript, type Script } from '../../../io/redis/script.ts'

/** Purged tags that a shard remembers; beyond, a new epoch begins (everything is forgotten). */
export const tagsMax = 200_000
/** Longer than any load: a lease may be used so long after it ran out, unless the key was given to somebody else. */
const graceOfLeaseMs = 300_000

const library = `
local seconds = redis.call('TIME')
local us = seconds[1] * 1000000 + seconds[2]
local now = math.floor(us / 1000)
local function text(n) return string.format('%.0f', n) end
local function clock(key)
  local marks = redis.call('ZMSCORE', key, '!', '#')
  if marks[1] and marks[2] then return tonumber(marks[1]), tonumber(marks[2]) end
  redis.call('ZADD', key, text(us + 4503599627370496), '!', text(us), '#')
  return us + 4503599627370496, us
end
local function parse(raw)
  if not raw then return nil end
  local e, c, v, fresh, gone, load, format, kind, tags, at =
    string.match(raw, '^1 (%d+) (%d+) (%-?%d+) (%d+) (%d+) (%d+) (%S+) (%a) (%S*)\\n()')
  if not e then return nil end
  return { e = tonumber(e), c = tonumber(c), v = tonumber(v), fresh = tonumber(fresh), gone = tonumber(gone),
    load = load, format = format, kind = kind, tags = tags, at = at }
end
local function newest(key, tags, c)
  local names = { '*' }
  for tag in string.gmatch(tags, '[^,]+') do
    names[#names + 1] = 't:' .. tag
    names[#names + 1] = 's:' .. tag
  end
  local scores = redis.call('ZMSCORE', key, unpack(names))
  local hard, soft = false, false
  for i = 1, #names do
    if scores[i] and tonumber(scores[i]) > c then
      if string.sub(names[i], 1, 1) == 't' then hard = true else soft = true end
    end
  end
  return hard, soft
end
local function ends(fence)
  return tonumber(string.match(fence, '^%d+'))
end
local function keep(key, ms)
  if redis.call('PTTL', key) == -1 then redis.call('PEXPIRE', key, text(ms))
  else redis.call('PEXPIRE', key, text(ms), 'GT') end
end
local function header(e, c, v, fresh, gone, load, format, kind, tags)
  return '1 ' .. text(e) .. ' ' .. text(c) .. ' ' .. v .. ' ' .. text(fresh) .. ' ' .. text(gone) .. ' ' .. load ..
    ' ' .. format .. ' ' .. kind .. ' ' .. tags .. '\\n'
end
`

/** KEYS entry, control, clock. ARGV wants a lease (0 no, 1 where it is not fresh, 2 in any case), token, lease's ms. */
export const getScript: Script = defineScript(`
${library}
local raw = redis.call('GET', KEYS[1])
local entry, softly = parse(raw), 0
if entry then
  local epoch = redis.call('ZSCORE', KEYS[3], '!')
  if not epoch or tonumber(epoch) ~= entry.e or entry.gone <= now then entry = nil else
    local hard, soft = newest(KEYS[3], entry.tags, entry.c)
    if hard then entry = nil elseif soft then softly = 1 end
  end
end
if entry and softly == 0 and entry.fresh > now and ARGV[1] ~= '2' then return { 'hit', raw, now, 0 } end
local held, fenced, leased = redis.call('HGETALL', KEYS[2]), false, 0
for i = 1, #held, 2 do
  if held[i] == 'l' then leased = tonumber(string.match(held[i + 1], ' (%d+)$')) - now
  elseif string.sub(held[i], 1, 2) == 'f:' and ends(held[i + 1]) > now then fenced = true end
end
local function answer(epoch, counter)
  if entry then return { 'stale', raw, now, softly, epoch, counter } end
  return { 'miss', epoch, counter }
end
if fenced then return entry and answer('', '') or { 'fenced' } end
if ARGV[1] == '0' then return answer('', '') end
if leased > 0 then return entry and answer('', '') or { 'wait', leased } end
local epoch, counter = clock(KEYS[3])
local given = redis.pcall('HSET', KEYS[2], 'l', ARGV[2] .. ' ' .. text(now + ARGV[3]))
if type(given) == 'table' and given.err then return answer('', '') end
keep(KEYS[2], ARGV[3] + ${graceOfLeaseMs})
return answer(text(epoch), text(counter))
`)

/**
 * KEYS entry, control, clock, a fence key for each tag. ARGV mode (lease, fence, plain), token, epoch, counter, version,
 * fresh ms, grace ms, load ms, format, kind, tags, value, command to publish, channel, message.
 */
export const setScript: Script = defineScript(`
${library}
local mode, token, version = ARGV[1], ARGV[2], tonumber(ARGV[5])
local fenced, own = false, nil
local function look(key, prefix)
  local held = redis.call('HGETALL', key)
  for i = 1, #held, 2 do
    if string.sub(held[i], 1, #prefix) == prefix and ends(held[i + 1]) > now then
      if mode ~= 'fence' or held[i] ~= prefix .. token then fenced = true
      elseif prefix == 'f:' then own = held[i + 1] end
    end
  end
end
look(KEYS[2], 'f:')
for i = 4, #KEYS do look(KEYS[i], '') end
if fenced then return 'fenced' end
if mode == 'fence' and not own then return 'void' end
local epoch, counter = clock(KEYS[3])
if mode == 'lease' then
  local lease, till = string.match(redis.call('HGET', KEYS[2], 'l') or '', '^(%S+) (%d+)$')
  if lease ~= token or tonumber(till) + ${graceOfLeaseMs} < now or tonumber(ARGV[3]) ~= epoch then return 'void' end
  counter = tonumber(ARGV[4])
  local hard, soft = newest(KEYS[3], ARGV[11], counter)
  if hard or soft then
    redis.call('HDEL', KEYS[2], 'l')
    return 'void'
  end
end
if mode == 'fence' then
  local alone, since, era = string.match(own, '^%d+ (%d) (%d+) (%d+)$')
  local hard, soft = newest(KEYS[3], ARGV[11], tonumber(since))
  if alone ~= '1' or tonumber(era) ~= epoch or hard or soft then return 'fenced' end
end
local stored = parse(redis.call('GET', KEYS[1]))
local floor = tonumber(redis.call('HGET', KEYS[2], 'v') or '-1')
if version < floor or (stored and stored.e == epoch and version < stored.v) then
  redis.call('HDEL', KEYS[2], 'l')
  return 'older'
end
local fresh, life = tonumber(ARGV[6]), ARGV[6] + ARGV[7]
if life > 0 then
  local head = header(epoch, counter, ARGV[5], now + fresh, now + life, ARGV[8], ARGV[9], ARGV[10], ARGV[11])
  redis.call('SET', KEYS[1], head .. ARGV[12], 'PX', text(life))
  local longest = tonumber(redis.call('ZSCORE', KEYS[3], '~') or '0')
  if longest < life + 8000000000000000 then redis.call('ZADD', KEYS[3], text(life + 8000000000000000), '~') end
else
  redis.call('UNLINK', KEYS[1])
end
redis.call('HDEL', KEYS[2], 'l', 's')
if mode == 'fence' then redis.call('HSET', KEYS[2], 's', token) end
if mode == 'fence' then keep(KEYS[2], life) end
if mode ~= 'lease' and ARGV[13] ~= '' then redis.call(ARGV[13], ARGV[14], ARGV[15]) end
return 'stored'
`)

/** KEYS control. ARGV token. */
export const releaseScript: Script = defineScript(`#!lua flags=allow-oom
local lease = string.match(redis.call('HGET', KEYS[1], 'l') or '', '^(%S+) ')
if lease == ARGV[1] then return redis.call('HDEL', KEYS[1], 'l') end
return 0
`)

/**
 * KEYS clock, a fence key for each tag (but for `forget`), then entry and control of each key. ARGV what (forget, fence,
 * lift), token, fence's ms, floor, soft (1 or 0), everything (1 or 0), command to publish, channel, message, tags...
 * Runs also where memory is full: it frees.
 */
export const changeScript: Script = defineScript(`#!lua flags=allow-oom
${library}
local what, token, soft, everything = ARGV[1], ARGV[2], ARGV[5] == '1', ARGV[6] == '1'
local tagCount = #ARGV - 9
local epoch, counter = clock(KEYS[1])
local life = tonumber(redis.call('ZSCORE', KEYS[1], '~') or '8000000000000000') - 8000000000000000
local bumped, news = false, everything
local function bump()
  news = true
  if bumped then return end
  bumped = true
  counter = math.max(counter + 1, us)
  redis.call('ZADD', KEYS[1], text(counter), '#')
end
local function newEpoch()
  epoch = math.max(epoch + 1, us + 4503599627370496)
  counter = math.max(counter + 1, us)
  redis.call('DEL', KEYS[1])
  redis.call('ZADD', KEYS[1], text(epoch), '!', text(counter), '#', text(life + 8000000000000000), '~')
end
if everything and soft then
  bump()
  redis.call('ZADD', KEYS[1], text(counter), '*')
elseif everything then newEpoch() end
local function raise(key, prefix)
  local held, mine, alone = redis.call('HGETALL', key), nil, 1
  for i = 1, #held, 2 do
    if string.sub(held[i], 1, #prefix) == prefix and ends(held[i + 1]) > now then
      if held[i] == prefix .. token then mine = held[i + 1] else
        alone = 0
        redis.call('HSET', key, held[i], (string.gsub(held[i + 1], '^(%d+) %d', '%1 0')))
      end
    end
  end
  local rest = mine and string.match(mine, '^%d+ (.*)$')
  if rest and alone == 0 then rest = string.gsub(rest, '^%d', '0') end
  rest = rest or (alone .. ' ' .. text(counter) .. ' ' .. text(epoch))
  redis.call('HSET', key, prefix .. token, text(now + ARGV[3]) .. ' ' .. rest)
  keep(key, ARGV[3])
  return mine ~= nil
end
local kept = {}
for i = 2 + tagCount, what == 'lift' and #KEYS or 0, 2 do
  if redis.call('HGET', KEYS[i + 1], 's') == token then
    local entry = parse(redis.call('GET', KEYS[i]))
    if entry and entry.e == epoch then
      local hard, soft = newest(KEYS[1], entry.tags, entry.c)
      kept[i] = not (hard or soft)
    end
  end
end
for i = 1, tagCount do
  local renewed = false
  if what == 'fence' then renewed = raise(KEYS[1 + i], '')
  elseif what == 'lift' then redis.call('HDEL', KEYS[1 + i], token) end
  if not renewed then
    bump()
    redis.call('ZADD', KEYS[1], text(counter), (soft and 's:' or 't:') .. ARGV[9 + i])
  end
end
if bumped then
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(us - (life + ${2 * graceOfLeaseMs}) * 1000))
  if redis.call('ZCARD', KEYS[1]) > ${tagsMax} then newEpoch() end
end
local function drop(entryKey, controlKey)
  news = true
  if soft then
    local raw = redis.call('GET', entryKey)
    local entry = parse(raw)
    if entry and entry.fresh > now then
      local head = header(entry.e, entry.c, entry.v, now, entry.gone, entry.load, entry.format, entry.kind, entry.tags)
      redis.call('SET', entryKey, head .. string.sub(raw, entry.at), 'KEEPTTL')
    end
  else redis.call('UNLINK', entryKey) end
  redis.call('HDEL', controlKey, 'l', 's')
end
local function cross(controlKey)
  local held = redis.call('HGETALL', controlKey)
  for i = 1, #held, 2 do
    if string.sub(held[i], 1, 2) == 'f:' then
      redis.call('HSET', controlKey, held[i], (string.gsub(held[i + 1], '^(%d+) %d', '%1 0')))
    end
  end
end
for i = (what == 'forget' and 2 or 2 + tagCount), #KEYS, 2 do
  local entryKey, controlKey = KEYS[i], KEYS[i + 1]
  if what == 'forget' then
    drop(entryKey, controlKey)
    cross(controlKey)
  elseif what == 'fence' then
    if not raise(controlKey, 'f:') then drop(entryKey, controlKey) end
  else
    redis.call('HDEL', controlKey, 'f:' .. token)
    news = true
    if kept[i] then
      local raw = redis.call('GET', entryKey)
      local entry = parse(raw)
      local head = header(epoch, counter, entry.v, entry.fresh, entry.gone, entry.load, entry.format, entry.kind, entry.tags)
      redis.call('SET', entryKey, head .. string.sub(raw, entry.at), 'KEEPTTL')
      redis.call('HDEL', controlKey, 'l', 's')
    else drop(entryKey, controlKey) end
    local floor = tonumber(ARGV[4])
    if floor >= 0 then
      if floor > tonumber(redis.call('HGET', controlKey, 'v') or '-1') then
        redis.call('HSET', controlKey, 'v', ARGV[4])
      end
      keep(controlKey, math.max(life, 60000))
    end
  end
end
-- A fence that is only renewed is no news.
if news and ARGV[7] ~= '' then redis.call(ARGV[7], ARGV[8], ARGV[9]) end
return 'done'
`)
