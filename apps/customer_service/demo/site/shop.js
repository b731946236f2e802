// What a shop does with the widget: buttons of the page that open it, or ask something at once.
window.Rootstock ||= (...command) => (window.Rootstock.queue ||= []).push(command);

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-ask]");
  if (!button) return;
  if (button.dataset.ask) window.Rootstock("message", button.dataset.ask);
  else window.Rootstock("open");
});
