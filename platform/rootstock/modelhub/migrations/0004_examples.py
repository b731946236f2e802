from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("modelhub", "0003_gate")]

    operations: list[object] = []
