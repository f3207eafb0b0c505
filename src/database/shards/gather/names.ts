// Names as SQL texts have them.

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** `schema.table`, as the map names it. */
export function quotedTable(name: string): string {
  const dot = name.indexOf('.')
  return dot < 0 ? quoted(name) : `${quoted(name.slice(0, dot))}.${quoted(name.slice(dot + 1))}`
}

export function quotedList(names: readonly string[]): string {
  return names.map(quoted).join(', ')
}
