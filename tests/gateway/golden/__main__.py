"""``python -m tests.gateway.golden`` writes what the cases compile to; look at the difference before you commit it."""

from tests.gateway.golden.golden_render import cases, output, render

for case in cases():
    text = render(case)
    changed = not output(case).exists() or output(case).read_text() != text
    output(case).write_text(text)
    print(f"{'wrote' if changed else 'same '} {output(case).name}")
