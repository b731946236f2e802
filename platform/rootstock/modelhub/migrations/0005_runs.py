from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("modelhub", "0004_examples")]

    operations: list[object] = []
