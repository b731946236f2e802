from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("modelhub", "0002_tasks")]

    operations: list[object] = []
