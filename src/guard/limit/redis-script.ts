// The one script that decides in Redis, for all limits of a request at once: either all pass and are counted, or nothing
// is. Time is Redis' own, so edges need not agree about it. The arithmetic is that of src/policy/limit, on doubles as well.
//
// ARGV: the epoch in microseconds, then seven numbers a key: what it is (`whatOf`, plus a mode), ticks, perTicks, most,
// price, perUs, needed. Answers: now, all passed (1 or 0), then each key's state as it was before (text, because a float of
// Lua would lose its last bits on the way). Read by `src/policy/limit`, which says the rest.

import { defineScript, type Script } from '../../io/redis/script.ts'
import type { LimitRule } from '../../policy/limit/index.ts'

const whatOf = { gcra: 0, sliding: 1, fixed: 2 } as const
/**
 * Added to `whatOf`. `look`: counts nothing. `anyway`: counts without asking. `soft`: its refusal keeps nothing else from
 * passing.
 */
export const modeOf = { decide: 0, look: 10, anyway: 20, soft: 30 } as const

/** What the script and `limitNext` both compare: most, price, needed. */
function numbersOf(rule: LimitRule, cost: number, share: number): readonly [number, number, number] {
  const units = Math.ceil(cost / rule.unit)
  if (rule.algorithm === 'gcra') {
    const price = Math.ceil((units * rule.ticksPerUnit) / (share > 0 ? share : 1))
    // Nothing passes where nothing is left.
    return [share > 0 ? rule.ticksMax : -1, price, share > 0 ? Math.min(price, rule.ticksMax) : price]
  }
  const room = Math.floor((rule.amount * share) / rule.unit)
  return [room, units, Math.min(units, Math.max(room, 1))]
}

export function scriptArguments(rule: LimitRule, mode: number, cost: number, share: number): string[] {
  const [most, price, needed] = numbersOf(rule, cost, share)
  const what = whatOf[rule.algorithm as keyof typeof whatOf] + mode
  return [what, rule.ticks, rule.perTicks, most, price, rule.perUs, needed].map(String)
}

export const limitScript: Script = defineScript(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2] - ARGV[1]
if now < 0 then now = now + ARGV[1] end
local all = 1
local answer = { string.format('%.0f', now), 1 }
local after, ttl = {}, {}
local function ticksAt(ticks, per)
  if ticks == per then return now end
  local whole = math.floor(now / per)
  local rest = now - whole * per
  local times = math.floor(ticks / per)
  return whole * ticks + rest * times + math.floor(rest * (ticks - times * per) / per)
end
for i = 1, #KEYS do
  local a = (i - 1) * 7 + 1
  local what, ticks, per, most = tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4])
  local price, perUs, needed = tonumber(ARGV[a + 5]), tonumber(ARGV[a + 6]), tonumber(ARGV[a + 7])
  local kind, mode = what % 10, math.floor(what / 10)
  local stored = redis.call('GET', KEYS[i])
  local state = tonumber(stored or '0')
  answer[i + 2] = stored or '0'
  local allowed
  if kind == 0 then
    local at = ticksAt(ticks, per)
    local debt = math.max(0, state - at)
    allowed = debt + needed <= most
    after[i] = at + debt + price
    ttl[i] = math.ceil((debt + price) * per / ticks / 1000) + 1000
  else
    local window = math.floor(now / perUs)
    local left = perUs - (now - window * perUs)
    local age = (window - math.floor(state / 1099511627776)) % 4096
    if state == 0 then age = 2 end
    local counts = state % 1099511627776
    local within, before = counts, 0
    if kind == 1 then
      within, before = counts % 1048576, math.floor(counts / 1048576)
    end
    if age == 1 and kind == 1 then within, before = 0, within
    elseif age ~= 0 then within, before = 0, 0 end
    allowed = within + before * left / perUs + needed <= most
    within = within + price
    if kind == 1 then within = math.min(within, 1048575) + before * 1048576 end
    after[i] = (window % 4096) * 1099511627776 + within
    ttl[i] = math.ceil((left + perUs) / 1000) + 1000
  end
  if mode == 2 then allowed = true end
  if mode == 1 or (mode == 3 and not allowed) then after[i] = false end
  if mode ~= 3 and not allowed then all = 0 end
end
if all == 1 then
  for i = 1, #KEYS do
    if after[i] then redis.call('SET', KEYS[i], string.format('%.0f', after[i]), 'PX', string.format('%.0f', ttl[i])) end
  end
end
answer[2] = all
return answer
`)
