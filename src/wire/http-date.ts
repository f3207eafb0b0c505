// Dates of HTTP (RFC 9110 5.6.7): the three forms that a recipient must read, the one that is written. Seconds since 1970.

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const longDays = 'Sunday|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday'
const clock = '([0-2][0-9]):([0-5][0-9]):([0-5][0-9]|60)'
const month = `(${months.join('|')})`

const fixed = new RegExp(`^(?:${days.join('|')}), ([0-3][0-9]) ${month} ([0-9]{4}) ${clock} GMT$`)
const rfc850 = new RegExp(`^(?:${longDays}), ([0-3][0-9])-${month}-([0-9]{2}) ${clock} GMT$`)
const asctime = new RegExp(`^(?:${days.join('|')}) ${month} ([ 0-3][0-9]) ${clock} ([0-9]{4})$`)

/** NaN when it is not a date. `nowSeconds` decides the century of two-digit years: never over 50 years ahead. */
export function parseHttpDate(text: string, nowSeconds: number): number {
  const modern = fixed.exec(text)
  if (modern !== null) {
    const [, day, name, year, hour, minute, second] = modern
    return seconds(year, name, day, hour, minute, second)
  }
  const short = rfc850.exec(text)
  if (short !== null) {
    const [, day, name, year, hour, minute, second] = short
    const thisYear = 1970 + Math.floor(nowSeconds / 31_556_952)
    let full = Math.floor(thisYear / 100) * 100 + Number(year)
    if (full > thisYear + 50) full -= 100
    return seconds(`${full}`, name, day, hour, minute, second)
  }
  const old = asctime.exec(text)
  if (old === null) return Number.NaN
  const [, name, day, hour, minute, second, year] = old
  return seconds(year, name, day, hour, minute, second)
}

type Part = string | undefined

function seconds(year: Part, name: Part, day: Part, hour: Part, minute: Part, second: Part): number {
  const index = months.indexOf(name as string)
  const at = Date.UTC(
    Number(year),
    index,
    Number(day),
    Number(hour),
    Number(minute),
    Math.min(59, Number(second)),
  )
  const date = new Date(at)
  // 31 June is no date, nor is hour 24.
  if (date.getUTCDate() !== Number(day) || date.getUTCHours() !== Number(hour)) return Number.NaN
  return at / 1000
}

/** IMF-fixdate. */
export function httpDate(atSeconds: number): string {
  return new Date(atSeconds * 1000).toUTCString()
}
