// Text that is safe in a page: values are escaped unless they came from `html` themselves.

class Html {
  constructor(text) {
    this.text = text
  }
  toString() {
    return this.text
  }
}

const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function shown(value) {
  if (value instanceof Html) return value.text
  if (Array.isArray(value)) return value.map(shown).join('')
  if (value === null || value === undefined || value === false) return ''
  return String(value).replace(/[&<>"']/g, letter => entities[letter])
}

export function html(strings, ...values) {
  return new Html(strings.reduce((text, part, index) => text + shown(values[index - 1]) + part))
}
