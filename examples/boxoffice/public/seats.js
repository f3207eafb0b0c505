// In the browser: the sum of the order, the limit of seats, and seats that others buy while one chooses.

const form = document.querySelector('.checkout')
const sum = document.getElementById('sum')
const euros = new Intl.NumberFormat('en-IE', { style: 'currency', currency: 'EUR' })
const boxes = [...form.querySelectorAll('input[name=seat]')]
const seatsMax = Number(form.dataset.seatsMax)
const sold = new Set(boxes.filter(box => box.disabled).map(box => box.value))

function show(note = '') {
  const chosen = boxes.filter(box => box.checked)
  for (const box of boxes) box.disabled = sold.has(box.value) || (chosen.length >= seatsMax && !box.checked)
  const seats = chosen.map(box => box.value).join(', ')
  const cost = euros.format((chosen.length * Number(form.dataset.cents)) / 100)
  sum.textContent = `${note}${chosen.length === 0 ? 'No seat chosen yet.' : `${seats}: ${cost}`}`
}

const events = new EventSource(form.dataset.events)
events.addEventListener('seats', event => {
  const gone = []
  for (const seat of JSON.parse(event.data).taken) {
    sold.add(seat)
    const box = boxes.find(one => one.value === seat)
    if (box?.checked) gone.push(seat)
    if (box) box.checked = false
  }
  show(gone.length > 0 ? `${gone.join(', ')} just went to somebody else. ` : '')
})
addEventListener('pagehide', () => events.close())

form.addEventListener('change', () => show())
show()
